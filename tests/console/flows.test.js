// What people do with the console, from the log-in to the way back, against the real program and real DNS queries.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, beforeEach, afterEach, test } from 'node:test';
import { launch, logIn, open, sound } from './browser.mjs';
import { seed } from './seed.mjs';
import { EMAIL, PASSWORD, Server, until } from './server.mjs';

let browser, server, page;
before(async () => {
  browser = await launch();
});
after(async () => {
  await browser?.close();
});
beforeEach(async () => {
  server = await Server.start();
  await seed(server);
  page = await open(browser, server);
});
afterEach(async () => {
  await page.close();
  await server.stop();
});

/** The serial of example.org. */
const serialNow = async () => (await server.api('GET', '/zonda/zones/example.org')).serial;

/** Changes www.example.org over the API, as somebody else would. */
const change = (content) => server.api('PUT', '/zonda/zones/example.org/rrsets/www/A', { ttl: 300, records: [{ content }] });

test('a wrong password is told in words, and the right one leads to where one wanted to go', async () => {
  page.meant.push(/status of 400/);
  await logIn(page, '#/history?zone=example.org.', 'wrong');
  await page.getByText('E-mail or password is wrong.').waitFor();
  await page.getByLabel('Password').fill(PASSWORD);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'example.org.' }).waitFor();
  sound(page);
});

test('a token that is void leads to the log-in, and from there back', async () => {
  await logIn(page, '#/server');
  await page.getByRole('heading', { name: 'API tokens' }).waitFor();
  page.meant.push(/status of 401/);
  await page.evaluate(() => sessionStorage.setItem('zonda.token', 'void'));
  await page.reload();
  await page.getByLabel('E-mail').fill(EMAIL);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'API tokens' }).waitFor();
  assert.ok(page.url().endsWith('#/server'));
  sound(page);
});

test('one logs out, and nothing of the token stays', async () => {
  await logIn(page, '#/server');
  await page.getByRole('main').getByRole('button', { name: 'Log out' }).click();
  await page.getByLabel('Password').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length + document.cookie.length), 0);
  sound(page);
});

test('the server is started anew: the loss is told, heals by itself, and the log-in stays', async () => {
  await logIn(page, '#/history');
  await page.getByText('example.net.').first().waitFor();
  page.meant.push(/ERR_|Failed to fetch|network error/i);
  await server.end();
  await page.getByText('The server cannot be reached').waitFor();
  await server.run();
  await page.getByText('The server cannot be reached').waitFor({ state: 'hidden' });
  await change('192.0.2.111');
  const row = page.locator('main tbody tr').first();
  await until('the change appears', async () => (await row.textContent()).includes(String(await serialNow())));
  sound(page);
});

test('what changes elsewhere appears without a reload', async () => {
  await logIn(page, '#/history?zone=example.org.');
  await page.getByText('12 changes').waitFor();
  await change('192.0.2.123');
  await page.getByText('13 changes').waitFor();
  await page.goto(`${server.url}/#/ask?name=www.example.org.&type=A`);
  await page.getByText('192.0.2.123').waitFor();
  await change('192.0.2.124');
  await page.getByText('192.0.2.124').waitFor();
  sound(page);
});

test('what changes before the page has begun to listen appears, too', async () => {
  let listen = () => {};
  const held = new Promise((resolve) => (listen = resolve));
  let begun = () => {};
  const begins = new Promise((resolve) => (begun = resolve));
  await page.route('**/api/realtime', async (route) => {
    if (route.request().method() === 'POST') {
      begun();
      await held;
    }
    await route.continue();
  });
  await logIn(page, '#/history?zone=example.org.');
  await page.getByText('12 changes').waitFor();
  await begins;
  await change('192.0.2.125');
  listen();
  await page.getByText('13 changes').waitFor();
  sound(page);
});

test('a zone is taken back to a serial: first shown, then done as a new edit that dig sees', async () => {
  await logIn(page, '#/history?zone=example.org.');
  const before = await serialNow();
  assert.deepEqual(await server.dig('www.example.org'), ['192.0.2.90']);
  await page.getByRole('button', { name: 'Go back to serial 2099010103' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.locator('tr.added', { hasText: '192.0.2.82' }).waitFor();
  await dialog.locator('tr.removed', { hasText: '192.0.2.90' }).waitFor();
  await dialog.locator('tr.removed', { hasText: 'pb.example.org.' }).waitFor();
  assert.deepEqual([await serialNow(), await server.dig('www.example.org')], [before, ['192.0.2.90']], 'nothing is done yet');
  await dialog.getByRole('button', { name: 'Go back' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.equal(await serialNow(), before + 1);
  assert.deepEqual(await server.dig('www.example.org'), ['192.0.2.82']);
  assert.deepEqual(await server.dig('pb.example.org'), []);
  await page.getByText('13 changes').waitFor();
  await page.locator('main tbody tr').first().getByText(String(before + 1)).waitFor();
  sound(page);
});

test('going back over what somebody else has just changed is refused, shown, and then done', async () => {
  await logIn(page, '#/history?zone=example.org.');
  await page.getByRole('button', { name: 'Go back to serial 2099010103' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.locator('tr.removed', { hasText: '192.0.2.90' }).waitFor();
  await change('192.0.2.200');
  page.meant.push(/status of 412/);
  await dialog.getByRole('button', { name: 'Go back' }).click();
  await dialog.getByText('Somebody else has changed the zone meanwhile').waitFor();
  await dialog.locator('tr.removed', { hasText: '192.0.2.200' }).waitFor();
  assert.deepEqual(await server.dig('www.example.org'), ['192.0.2.200']);
  await dialog.getByRole('button', { name: 'Go back' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.deepEqual(await server.dig('www.example.org'), ['192.0.2.82']);
  sound(page);
});

test('a change shows its records, and two serials can be compared', async () => {
  await logIn(page, '#/history');
  await page.getByRole('link', { name: 'example.org.' }).first().click();
  await page.locator('tr.inside tr.added', { hasText: '192.0.2.7' }).waitFor();
  await page.getByRole('button', { name: /^2099010105/ }).click();
  await page.locator('tr.inside tr.removed', { hasText: '192.0.2.83' }).waitFor();
  await page.getByRole('checkbox', { name: 'Compare serial 2099010102' }).check();
  await page.getByRole('checkbox', { name: 'Compare serial 2099010112' }).check();
  await page.getByRole('button', { name: 'Compare 2099010102 and 2099010112' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.locator('tr.removed', { hasText: '192.0.2.81' }).waitFor();
  await dialog.locator('tr.added', { hasText: '192.0.2.90' }).waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  sound(page);
});

test('a question gets the answer that dig gets, and the way to it', async () => {
  await logIn(page, '#/ask');
  await page.getByLabel('Name').fill('x.w.example.org');
  await page.keyboard.press('Enter');
  const way = page.getByRole('region', { name: 'The way to the answer' });
  await way.getByText('wildcard', { exact: true }).waitFor();
  const boxes = await way.locator('.what').allTextContents();
  assert.deepEqual(boxes, ['Question', 'Server block', 'Plugins', 'Zone', 'Match', 'Answer']);
  const answer = page.getByRole('region', { name: 'Answer', exact: true });
  await answer.getByText('192.0.2.99').waitFor();
  assert.deepEqual(await server.dig('x.w.example.org'), ['192.0.2.99']);
  await page.getByLabel('Type').fill('nope');
  page.meant.push(/status of 400/);
  await page.keyboard.press('Enter');
  await page.getByText('"NOPE" is no type of records').waitFor();
  await page.getByLabel('Type').fill('mx');
  await page.getByLabel('Name').fill('example.org');
  await page.getByLabel('Over').selectOption('tcp');
  await answer.getByText('10 mail.example.org.').waitFor();
  await answer.getByText(`dig @127.0.0.1 -p ${server.dnsPort} example.org. MX +norecurse +tcp`).waitFor();
  await answer.getByRole('button', { name: 'As dig prints it' }).click();
  await answer.getByText(';; ANSWER SECTION').waitFor();
  sound(page);
});

test('charts move when dnsperf asks', async () => {
  await logIn(page, '#/traffic');
  const chart = page.getByRole('img', { name: /^Queries per second/ });
  await chart.waitFor();
  const rate = async () => Number((await chart.getAttribute('aria-label')).match(/Queries ([\d,.]+)/)?.[1].replaceAll(',', '') ?? 0);
  const line = () => page.locator('.chart-line.tone-1').first().getAttribute('d');
  await until('two looks', async () => (await line())?.includes('L'));
  const before = await line();
  server.load([['www.example.org', 'A'], ['gone.example.org', 'TXT']], 1000);
  await until('the rate rises', async () => (await rate()) > 100);
  await page.getByText('gone.example.org.').waitFor();
  await page.locator('.chart-legend').getByText('NXDOMAIN').waitFor();
  await page.locator('.bar-name', { hasText: 'TXT' }).waitFor();
  assert.notEqual(await line(), before);
  await server.endLoad();
  await until('the rate falls', async () => (await rate()) < 50);
  sound(page);
});

test('a token is made, shown once, works, and is revoked', async () => {
  await logIn(page, '#/server');
  await page.getByRole('button', { name: 'New token' }).click();
  await page.getByLabel('Name').fill('no good');
  page.meant.push(/status of 400/);
  await page.getByRole('button', { name: 'Make token' }).click();
  await page.getByText("must be 1 to 64 letters, digits, '-', '_' and '.'").waitFor();
  await page.getByLabel('Name').fill('backup-job');
  await page.getByLabel('Zones').fill('example.org');
  await page.getByRole('button', { name: 'Make token' }).click();
  const secret = await page.getByRole('dialog').locator('.copy code').textContent();
  await page.getByRole('button', { name: 'Done' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  const may = async (zone) => (await fetch(`${server.url}/api/zonda/zones/${zone}`, { headers: { Authorization: `Bearer ${secret}` } })).status;
  assert.deepEqual([await may('example.org'), await may('example.net')], [200, 403]);
  assert.ok(!(await page.content()).includes(secret));
  await page.getByRole('button', { name: 'Revoke backup-job' }).click();
  await page.getByRole('button', { name: 'Revoke', exact: true }).click();
  await page.locator('td', { hasText: 'backup-job' }).waitFor({ state: 'detached' });
  assert.equal(await may('example.org'), 401);
  sound(page);
});

test('a back-up is downloaded', async () => {
  await logIn(page, '#/server');
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download back-up' }).click()]);
  assert.match(download.suggestedFilename(), /^zonda-[\d-]+\.backup$/);
  assert.ok(fs.statSync(await download.path()).size > 100);
  sound(page);
});

test('the keyboard alone is enough to go everywhere, look into a change and take a zone back', async () => {
  await page.at('#/zones');
  await page.getByLabel('E-mail').waitFor();
  // The browser gives the field the focus with the next frame.
  await page.waitForFunction(() => document.activeElement?.name === 'email');
  await page.keyboard.type(EMAIL);
  await page.keyboard.press('Tab');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  for (const [key, title] of [['h', 'History'], ['a', 'Ask'], ['t', 'Traffic'], ['s', 'Server'], ['z', 'Zones']]) {
    await page.getByRole('navigation', { name: 'Main' }).waitFor();
    // Again where the machine took so long between the two that they are no pair, or where a field got the focus.
    await until(`the screen ${title}`, async () => {
      await page.evaluate(() => document.activeElement instanceof HTMLElement && document.activeElement.blur());
      await page.keyboard.press('g');
      await page.keyboard.press(key);
      const heading = page.getByRole('heading', { name: title, level: 1 });
      return heading.waitFor({ timeout: 5000 }).then(() => true, () => false);
    });
  }
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.goto(`${server.url}/#/history?zone=example.org.`);
  const target = page.getByRole('button', { name: 'Go back to serial 2099010111' });
  await target.waitFor();
  for (let tabs = 0; tabs < 60 && !(await target.evaluate((button) => button === document.activeElement)); tabs++) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog');
  await dialog.locator('tr.removed', { hasText: 'pb.example.org.' }).waitFor();
  const done = dialog.getByRole('button', { name: 'Go back', exact: true });
  for (let tabs = 0; tabs < 20 && !(await done.evaluate((button) => button === document.activeElement)); tabs++) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'detached' });
  assert.deepEqual(await server.dig('pb.example.org'), []);
  sound(page);
});
