// What a page must not do is noticed; the other tests rely on it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessible, launch, narrow, open } from './browser.mjs';
import { Server, until } from './server.mjs';

test('faults of a page are noticed', async () => {
  const server = await Server.start();
  const browser = await launch();
  const page = await open(browser, server);
  await page.at('');
  await page.getByLabel('Password').waitFor();
  await page.evaluate(() => {
    console.error('a fault');
    setTimeout(() => {
      throw new Error('thrown');
    });
    // Both are against the policy: a script in the page, and an address that is not the server's.
    document.body.append(Object.assign(document.createElement('script'), { textContent: 'document.title = "inline"' }));
    document.body.append(Object.assign(document.createElement('img'), { src: 'https://example.net/x.png', id: 'elsewhere' }));
    const wide = document.createElement('div');
    wide.style.width = '3000px';
    wide.append('wide');
    document.body.append(wide);
  });
  await page.waitForFunction(() => document.getElementById('elsewhere').complete);
  // The browser tells them over several ways, in no order.
  for (const fault of [/^console: a fault/, /^exception: .*thrown/s, /^content policy: script-src/, /^content policy: img-src/]) {
    await until(`${fault} is noticed`, () => page.faults.some((found) => fault.test(found)));
  }
  await assert.rejects(accessible(page, 'an image without a text'), /image-alt/);
  await assert.rejects(narrow(page, 'a wide element'), /px wide/);
  await page.close();
  await browser.close();
  await server.stop();
});
