// Zones and records: made, edited in stages, applied, answered to dig; two people at once; by the keyboard alone; and the
// first minutes with a new server.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { freeze, launch, logIn, open, sound } from './browser.mjs';
import { seed } from './seed.mjs';
import { Server } from './server.mjs';

let browser, server, page;

/** Whether an RRset is there already is asked by asking for it; browsers tell each 404 on the console. */
const MEANT = /status of 404.*\/rrsets\//;

before(async () => {
  browser = await launch();
});
after(async () => {
  await browser?.close();
});
beforeEach(async () => {
  server = await Server.start();
  page = await open(browser, server);
  page.meant.push(MEANT);
});
afterEach(async () => {
  await page.close();
  await server.stop();
});

/** The dialog that is open. */
const dialog = (of = page) => of.getByRole('dialog');

/** The row of a record. */
const row = (text, of = page) => of.locator('tr[data-row]', { hasText: text });

/** Stages a new record by the form. */
async function stage(of, name, type, fields, ttl = '') {
  await of.getByRole('button', { name: 'New record' }).click();
  await dialog(of).getByLabel('Name', { exact: true }).first().fill(name);
  await dialog(of).getByLabel('Type', { exact: true }).selectOption(type);
  for (const [label, value] of Object.entries(fields)) await dialog(of).getByLabel(label, { exact: true }).fill(value);
  if (ttl) await dialog(of).getByLabel('TTL').fill(ttl);
  await dialog(of).getByRole('button', { name: 'Stage the record' }).click();
  await dialog(of).waitFor({ state: 'detached' });
}

/** Applies what is staged. */
async function apply(of = page) {
  await of.getByRole('button', { name: 'Review and apply' }).click();
  await dialog(of).getByText(/records in/).waitFor();
  await dialog(of).getByRole('button', { name: 'Apply' }).click();
  await of.getByText(/^Serial \d+ is served\.$/).first().waitFor();
}

test('a zone comes from a file, five edits are staged and applied at once, and dig sees them', async () => {
  await logIn(page, '#/zones');
  await page.getByText('No zones yet').waitFor();
  await page.getByRole('button', { name: 'New zone' }).first().click();
  await dialog().getByRole('button', { name: 'A zone file' }).click();
  const file = '$ORIGIN example.org.\n@ 1h SOA ns1 hostmaster 1 2h 1h 14d 5m\n@ 1h NS ns1\nns1 1h A 192.0.2.53\nwww 1h A 192.0.2.80\nold 1h A 192.0.2.1\n';
  page.meant.push(/status of 400/);
  await dialog().getByLabel('Zone file', { exact: true }).fill(file.replace('192.0.2.80', '192.0.2.800'));
  await dialog().getByText('Line 5').waitFor();
  await dialog().getByLabel('Zone file', { exact: true }).fill(file);
  await dialog().getByText('Will be served with 5 records').waitFor();
  assert.deepEqual(await server.dig('www.example.org'), [], 'a preview makes nothing');
  await dialog().getByRole('button', { name: 'Create zone' }).click();
  await row('192.0.2.80').waitFor();
  assert.deepEqual(await server.dig('www.example.org'), ['192.0.2.80']);

  await stage(page, 'mail', 'A', { 'IPv4 address': '192.0.2.25' });
  await stage(page, '@', 'MX', { Preference: '10', 'Mail server': 'mail' });
  await stage(page, '@', 'TXT', { Text: 'v=spf1 mx -all' }, '5m');
  await row('192.0.2.80').getByRole('button', { name: 'Edit' }).click();
  await dialog().getByLabel('IPv4 address').fill('192.0.2.81');
  await dialog().getByRole('button', { name: 'Stage the edit' }).click();
  await row('192.0.2.1').filter({ hasText: 'old' }).getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('region', { name: 'Staged edits' }).getByText('5 edits staged').waitFor();
  // They outlive another screen and a reload.
  await page.goto(`${server.url}/#/traffic`);
  await page.goto(`${server.url}/#/zones/example.org.`);
  await page.reload();
  await page.getByText('5 edits staged').waitFor();
  assert.deepEqual(await server.dig('mail.example.org'), [], 'staging serves nothing');
  const before = (await server.api('GET', '/zonda/zones/example.org')).serial;
  await apply();
  assert.equal((await server.api('GET', '/zonda/zones/example.org')).serial, before + 1, 'one transaction');
  assert.deepEqual(await server.dig('mail.example.org'), ['192.0.2.25']);
  assert.deepEqual(await server.dig('example.org', 'MX'), ['10 mail.example.org.']);
  assert.deepEqual(await server.dig('example.org', 'TXT'), ['"v=spf1 mx -all"']);
  assert.deepEqual(await server.dig('www.example.org'), ['192.0.2.81']);
  assert.deepEqual(await server.dig('old.example.org'), []);
  sound(page);
});

test("what somebody else has changed is shown beside one's own edit and not overwritten", async () => {
  await seed(server);
  await logIn(page, '#/zones/example.org.');
  const other = await open(browser, server);
  other.meant.push(MEANT);
  await logIn(other, '#/zones/example.org.');
  for (const [of, address] of [[page, '203.0.113.201'], [other, '203.0.113.202']]) {
    await row('192.0.2.90', of).getByRole('button', { name: 'Edit' }).click();
    await dialog(of).getByLabel('IPv4 address').fill(address);
    await dialog(of).getByRole('button', { name: 'Stage the edit' }).click();
    await dialog(of).waitFor({ state: 'detached' });
  }
  await apply(other);
  assert.deepEqual(await server.dig('www.example.org'), ['203.0.113.202']);
  await row('203.0.113.201').getByText('changed elsewhere').waitFor();
  page.meant.push(/status of 412/);
  await page.getByRole('button', { name: 'Review and apply' }).click();
  await dialog().getByText('Somebody else has changed this').waitFor();
  for (const address of ['192.0.2.90', '203.0.113.201', '203.0.113.202']) await dialog().locator('.three').getByText(address).waitFor();
  assert.deepEqual(await server.dig('www.example.org'), ['203.0.113.202'], 'nothing is overwritten');
  await dialog().getByRole('button', { name: 'Keep mine' }).click();
  await dialog().getByRole('button', { name: 'Go on with these' }).click();
  await dialog().getByText(/records in/).waitFor();
  await dialog().getByRole('button', { name: 'Apply' }).click();
  await dialog().waitFor({ state: 'detached' });
  assert.deepEqual(await server.dig('www.example.org'), ['203.0.113.201']);
  sound(page);
  sound(other);
  await other.close();
});

test('an address takes its PTR record along where the reverse zone is served', async () => {
  await seed(server);
  await logIn(page, '#/zones/example.org.');
  await page.getByRole('button', { name: 'New record' }).click();
  await dialog().getByLabel('Name', { exact: true }).fill('host');
  await dialog().getByLabel('IPv4 address').fill('192.0.2.77');
  await dialog().getByText('77.2.0.192.in-addr.arpa.').waitFor();
  await dialog().getByRole('button', { name: 'Stage the record' }).click();
  await dialog().waitFor({ state: 'detached' });
  await apply();
  assert.deepEqual(await server.dig('host.example.org'), ['192.0.2.77']);
  assert.deepEqual(await server.dig('77.2.0.192.in-addr.arpa', 'PTR'), ['host.example.org.']);
  sound(page);
});

test('a PTR record that somebody else has made meanwhile is not overwritten', async () => {
  await seed(server);
  await logIn(page, '#/zones/example.org.');
  await page.getByRole('button', { name: 'New record' }).click();
  await dialog().getByLabel('Name', { exact: true }).fill('host');
  await dialog().getByLabel('IPv4 address').fill('192.0.2.77');
  await dialog().getByText('77.2.0.192.in-addr.arpa.').waitFor();
  await dialog().getByRole('button', { name: 'Stage the record' }).click();
  await dialog().waitFor({ state: 'detached' });
  await server.api('PUT', '/zonda/zones/2.0.192.in-addr.arpa./rrsets/77.2.0.192.in-addr.arpa./PTR', { ttl: 60, records: [{ content: 'theirs.example.org.' }] });
  await page.getByRole('button', { name: 'Review and apply' }).click();
  await dialog().getByText('Somebody else has changed this').waitFor();
  await dialog().locator('.three').getByText('theirs.example.org.').waitFor();
  await dialog().getByRole('button', { name: 'Go on with these' }).click();
  await dialog().getByText(/records in/).waitFor();
  await dialog().getByRole('button', { name: 'Apply' }).click();
  await dialog().waitFor({ state: 'detached' });
  assert.deepEqual(await server.dig('host.example.org'), ['192.0.2.77']);
  assert.deepEqual(await server.dig('77.2.0.192.in-addr.arpa', 'PTR'), ['theirs.example.org.']);
  sound(page);
});

test('a record that is changed while its form is open is not put beside the new one', async () => {
  await seed(server);
  await logIn(page, '#/zones/example.org.');
  await row('192.0.2.90').getByRole('button', { name: 'Edit' }).click();
  await dialog().getByLabel('IPv4 address').fill('203.0.113.1');
  await server.api('PUT', '/zonda/zones/example.org./rrsets/www.example.org./A', { ttl: 60, records: [{ content: '203.0.113.2' }] });
  await row('203.0.113.2').waitFor();
  await dialog().getByRole('button', { name: 'Stage the edit' }).click();
  await dialog().getByText('Somebody else has changed this record meanwhile.').waitFor();
  sound(page);
});

test('a PTR record is for the address that stands in the form, not for one on the way to it', async () => {
  // 192.0.2.6 stood there long enough to be looked up; the second 6 came just before the form was sent.
  await seed(server);
  await page.clock.install();
  await logIn(page, '#/zones/example.org.');
  await page.getByRole('button', { name: 'New record' }).click();
  await dialog().getByLabel('Name', { exact: true }).fill('host');
  await dialog().getByLabel('IPv4 address').fill('192.0.2.6');
  await dialog().getByText('6.2.0.192.in-addr.arpa.').waitFor();
  // The page's time stands still, so that the other address is not looked up.
  await freeze(page);
  await dialog().getByLabel('IPv4 address').fill('192.0.2.66');
  await dialog().getByRole('button', { name: 'Stage the record' }).click();
  await dialog().waitFor({ state: 'detached' });
  await page.getByText('2 edits staged').waitFor();
  await page.clock.resume();
  // So it was with an edit: its form opens with the old address.
  await row('192.0.2.90').getByRole('button', { name: 'Edit' }).click();
  await dialog().getByText('90.2.0.192.in-addr.arpa.').waitFor();
  await freeze(page);
  await dialog().getByLabel('IPv4 address').fill('192.0.2.91');
  await dialog().getByRole('button', { name: 'Stage the edit' }).click();
  await dialog().waitFor({ state: 'detached' });
  await page.getByText('4 edits staged').waitFor();
  await page.clock.resume();
  await apply();
  const pointers = { 6: [], 66: ['host.example.org.'], 90: [], 91: ['www.example.org.'] };
  for (const [last, names] of Object.entries(pointers)) {
    assert.deepEqual(await server.dig(`${last}.2.0.192.in-addr.arpa`, 'PTR'), names);
  }
  sound(page);
});

test('a message says what has been done, and goes by itself', async () => {
  await seed(server);
  await page.clock.install();
  await logIn(page, '#/zones/example.org.');
  const message = page.locator('.toasts').getByText('1 staged edit is discarded.');
  for (const isPatient of [true, false]) {
    await stage(page, 'host', 'A', { 'IPv4 address': '203.0.113.1' });
    await freeze(page);
    await page.getByRole('button', { name: 'Discard' }).click();
    await message.waitFor();
    await page.clock.runFor(4900);
    assert.ok(await message.isVisible());
    if (isPatient) await page.clock.runFor(200);
    else await page.getByRole('button', { name: 'Dismiss' }).click();
    await message.waitFor({ state: 'detached' });
    await page.clock.resume();
  }
  sound(page);
});

test('a fault is told at its field, in the words of the server where only it can know', async () => {
  await seed(server);
  await logIn(page, '#/zones/example.org.');
  await page.getByRole('button', { name: 'New record' }).click();
  await dialog().getByLabel('Name', { exact: true }).fill('www');
  await dialog().getByLabel('IPv4 address').fill('192.0.2.256');
  await dialog().getByRole('button', { name: 'Stage the record' }).click();
  await dialog().getByText('An IPv4 address like 192.0.2.1 is needed.').waitFor();
  await dialog().getByLabel('Type', { exact: true }).selectOption('CNAME');
  await dialog().getByLabel('Target').fill('mail');
  page.meant.push(/status of 400/);
  await dialog().getByRole('button', { name: 'Stage the record' }).click();
  await dialog().getByText(/CNAME/).and(page.locator('.said, .notice div')).first().waitFor();
  assert.ok(await dialog().isVisible());
  sound(page);
});

test('the keyboard alone makes, stages, reviews and applies', async () => {
  await seed(server);
  await logIn(page, '#/zones/example.org.');
  await row('192.0.2.90').waitFor();
  await page.keyboard.press('n');
  await dialog().waitFor();
  await page.keyboard.type('keys');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  // No zone for the PTR record of this address is served: there is one edit, however long the machine takes.
  await page.keyboard.type('203.0.113.66');
  await page.keyboard.press('Enter');
  await page.getByText('1 edit staged').waitFor();
  await page.keyboard.press('Control+Enter');
  await dialog().getByText(/records in/).waitFor();
  await page.keyboard.press('Control+Enter');
  await page.getByText(/^Serial \d+ is served\.$/).first().waitFor();
  assert.deepEqual(await server.dig('keys.example.org'), ['203.0.113.66']);
  await page.keyboard.press('/');
  await page.keyboard.type('keys');
  await page.getByText('192.0.2.90').waitFor({ state: 'hidden' });
  await page.locator('main').focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Delete');
  await page.getByText('1 edit staged').waitFor();
  await page.keyboard.press('Control+Enter');
  await dialog().getByText(/records in/).waitFor();
  await page.keyboard.press('Control+Enter');
  await dialog().waitFor({ state: 'detached' });
  assert.deepEqual(await server.dig('keys.example.org'), []);
  sound(page);
});

test('keys work as soon as a screen is there', async () => {
  await page.clock.install();
  await logIn(page, '#/server');
  await page.getByRole('heading', { name: 'API tokens' }).waitFor();
  // No frame is drawn any more as far as the page can tell.
  await freeze(page);
  await page.getByRole('link', { name: 'Zones' }).click();
  await page.getByRole('heading', { name: 'Zones', level: 1 }).waitFor();
  await page.keyboard.press('n');
  await dialog().getByLabel('Name of the zone').waitFor();
  sound(page);
});

test('a zone is deleted only when its name has been typed, and its history brings it back', async () => {
  await seed(server);
  await logIn(page, '#/zones/example.net.');
  await page.getByRole('button', { name: 'Delete', exact: true }).first().click();
  const button = dialog().getByRole('button', { name: 'Delete the zone' });
  await dialog().getByLabel('Type the name of the zone').fill('example.ne');
  assert.ok(await button.isDisabled());
  await dialog().getByLabel('Type the name of the zone').fill('example.net');
  // The page may hear that the zone has changed before it hears that its deletion is done, and looks at it once more.
  page.meant.push(/status of 404.*\/example\.net/);
  await button.click();
  await page.getByRole('heading', { name: 'Zones', level: 1 }).waitFor();
  assert.deepEqual(await server.dig('example.net', 'SOA'), []);
  await page.goto(`${server.url}/#/history?zone=example.net.`);
  await page.getByRole('button', { name: /^Go back to serial/ }).first().click();
  await dialog().getByRole('button', { name: 'Go back', exact: true }).click();
  await dialog().waitFor({ state: 'detached' });
  assert.equal((await server.dig('example.net', 'SOA')).length, 1);
  sound(page);
});

test('a first-time user gets from the log-in to a record that dig answers, by the console alone', async () => {
  const fresh = await Server.start({ password: null });
  const first = await open(browser, fresh);
  first.meant.push(MEANT);
  await first.at('');
  // The well-known account is filled in.
  await first.getByText('A new server has an account that everybody knows').waitFor();
  await first.getByRole('button', { name: 'Log in' }).click();
  await first.getByText('Default password.').waitFor();
  await first.getByRole('button', { name: 'New zone' }).first().click();
  await dialog(first).getByLabel('Name of the zone').fill('example.org');
  // A preview that came after the zone was made would be refused.
  await dialog(first).getByText('Will be served with').waitFor();
  await dialog(first).getByRole('button', { name: 'Create zone' }).click();
  await first.getByText('The zone is new.').waitFor();
  await stage(first, 'www', 'A', { 'IPv4 address': '192.0.2.80' });
  await apply(first);
  const command = await first.locator('.applied code').textContent();
  assert.match(command, /^dig @127\.0\.0\.1 -p \d+ www\.example\.org\. A$/);
  const [program, ...words] = command.split(' ');
  assert.equal(execFileSync(program, [...words, '+short']).toString().trim(), '192.0.2.80');
  sound(first);
  await first.close();
  await fresh.stop();
});

test('a zone file takes the place of what a zone holds, shown first', async () => {
  await seed(server);
  await logIn(page, '#/zones/example.org.');
  await row('192.0.2.90').waitFor();
  await page.getByRole('button', { name: 'Import' }).click();
  page.meant.push(/status of 400/);
  await dialog().getByLabel('Zone file', { exact: true }).fill('@ 1h SOA ns1 hostmaster 1 2h 1h 14d 5m\n@ 1h NS ns1\nns1 1h A 192.0.2.300\n');
  await dialog().getByText('Line 3').waitFor();
  assert.ok(await dialog().getByRole('button', { name: 'Replace the records' }).isDisabled());
  await dialog().getByLabel('Zone file', { exact: true }).fill('@ 1h SOA ns1 hostmaster 1 2h 1h 14d 5m\n@ 1h NS ns1\nns1 1h A 192.0.2.53\nnew 1h A 192.0.2.67\n');
  await dialog().getByText('192.0.2.67').last().waitFor();
  assert.deepEqual(await server.dig('new.example.org'), []);
  await dialog().getByRole('button', { name: 'Replace the records' }).click();
  await row('192.0.2.67').waitFor();
  assert.deepEqual(await server.dig('new.example.org'), ['192.0.2.67']);
  await row('192.0.2.90').waitFor({ state: 'detached' });
  sound(page);
});
