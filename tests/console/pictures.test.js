// Every screen in both themes and two widths: no fault that axe-core finds, no scrolling sideways, and a picture of each
// under target/console-screens.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { accessible, launch, logIn, narrow, open, picture, sound } from './browser.mjs';
import { seed } from './seed.mjs';
import { Server } from './server.mjs';

/** Screens: name, address, what shows that it is there, and what to do first. */
const SCREENS = [
  ['zones', '#/zones', (page) => page.getByText('2.0.192.in-addr.arpa.')],
  ['zone', '#/zones/example.org.', (page) => page.getByText('ca.example.net').first()],
  ['zones-new', '#/zones', (page) => page.getByRole('dialog'), (page) => page.getByRole('button', { name: 'New zone' }).click()],
  ['zone-record', '#/zones/example.org.', (page) => page.getByRole('dialog'), (page) => page.getByRole('button', { name: 'New record' }).click()],
  ['zone-import', '#/zones/example.org.', (page) => page.getByRole('dialog'), (page) => page.getByRole('button', { name: 'Import' }).click()],
  ['zone-delete', '#/zones/example.org.', (page) => page.getByRole('dialog'), (page) => page.getByRole('button', { name: 'Delete', exact: true }).first().click()],
  ['history', '#/history', (page) => page.getByText('example.org.').first()],
  ['history-zone', '#/history?zone=example.org.&serial=2099010104', (page) => page.getByText('192.0.2.83').first()],
  [
    'history-back',
    '#/history?zone=example.org.',
    (page) => page.getByRole('dialog').getByText('192.0.2.82'),
    (page) => page.getByRole('button', { name: 'Go back to serial 2099010103' }).click(),
  ],
  ['ask', '#/ask', (page) => page.getByText('Ask for any name')],
  ['ask-alias', '#/ask?name=shop.example.org.&type=A', (page) => page.getByText('NOERROR').first()],
  ['ask-no-name', '#/ask?name=nothing.example.org.&type=MX&do=true', (page) => page.getByText('NXDOMAIN').first()],
  ['ask-elsewhere', '#/ask?name=www.example.com.&type=A', (page) => page.getByText('REFUSED').first()],
  [
    'traffic',
    '#/traffic',
    (page) => page.locator('.bar-name', { hasText: 'www.example.org.' }),
    async (page) => {
      // Names are sampled once the page has asked, so the load begins after it.
      await page.locator('.tile').first().waitFor();
      const here = [['www.example.org', 'A'], ['nothing.example.org', 'AAAA'], ['shop.example.org', 'A']];
      server.load([...here, ['example.com', 'MX']], 400);
      await page.waitForFunction(() => document.querySelector('.chart-line')?.getAttribute('d').split('L').length > 4);
    },
  ],
  ['server', '#/server', (page) => page.getByText('deploy')],
  ['server-token', '#/server', (page) => page.getByRole('dialog'), (page) => page.getByRole('button', { name: 'New token' }).click()],
];

let server, browser;
before(async () => {
  server = await Server.start();
  await seed(server);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

for (const theme of ['light', 'dark']) {
  for (const [width, height] of [[360, 780], [1440, 900]]) {
    test(`all screens, ${theme}, ${width} px`, async (t) => {
      const page = await open(browser, server, { theme, width, height });
      await page.at('');
      await page.getByLabel('Password').waitFor();
      await accessible(page, 'the log-in page');
      await picture(page, `log-in-${theme}-${width}`);
      await logIn(page, '#/zones');
      await page.getByText('2.0.192.in-addr.arpa.').waitFor();
      for (const [name, address, shown, act] of SCREENS) {
        await t.test(name, async () => {
          await page.goto('about:blank');
          await page.at(address);
          await act?.(page);
          await shown(page).first().waitFor();
          await server.endLoad();
          await picture(page, `${name}-${theme}-${width}`);
          await accessible(page, `${name} in ${theme} at ${width} px`);
          await narrow(page, name);
          sound(page);
        });
      }
      await page.close();
    });
  }
}

test('all screens fit into 2560 px', async () => {
  const page = await open(browser, server, { width: 2560, height: 1440 });
  await logIn(page, '#/zones');
  await page.getByText('2.0.192.in-addr.arpa.').waitFor();
  for (const [name, address, shown, act] of SCREENS) {
    if (name === 'traffic') continue;
    await page.goto('about:blank');
    await page.at(address);
    await act?.(page);
    await shown(page).first().waitFor();
    await narrow(page, name);
    await picture(page, `${name}-light-2560`);
  }
  sound(page);
  assert.ok(page.url().startsWith(server.url));
  await page.close();
});
