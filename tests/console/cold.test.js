// The first look at a big server: 100,000 zones, and 10,000 records in the zone that is open.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, sound } from './browser.mjs';
import { Server } from './server.mjs';

const ZONES = Number(process.env.ZONES ?? 100_000);
const RECORDS = 10_000;

/** Records in one call, and calls at once. */
const PER_CALL = 500;
const AT_ONCE = 8;

let browser, server;
before(async () => {
  server = await Server.start();
  const begun = performance.now();
  const lines = Array.from({ length: RECORDS }, (_, at) => `host${at} 300 IN A 192.0.2.${at % 256}\n`);
  await server.api('POST', '/zonda/zones', { zone: 'big.example.org', zonefile: `@ 300 IN SOA ns h 1 2 3 4 5\n@ 300 IN NS ns\nns 300 IN A 192.0.2.1\n${lines.join('')}` });
  let next = 0;
  const fill = async () => {
    while (next < ZONES - 1) {
      const first = next;
      next += PER_CALL;
      const requests = [];
      for (let at = first; at < Math.min(next, ZONES - 1); at++) {
        const body = { zone: `zone${at}.example.net.`, name: '@', record_type: 'A', content: { ip: '192.0.2.1' } };
        requests.push({ method: 'POST', url: '/api/collections/coredns_records/records', body });
      }
      await server.api('POST', '/batch', { requests });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, fill));
  assert.equal((await server.api('GET', '/zonda/zones?perPage=1')).totalItems, ZONES);
  console.log(`${ZONES} zones were made in ${Math.round(performance.now() - begun)} ms`);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Milliseconds from the address to a usable screen, in a browser that has never seen it. */
async function coldLoad(address, usable) {
  const page = await open(browser, server);
  await page.addInitScript((token) => sessionStorage.setItem('zonda.token', token), server.token);
  const begun = performance.now();
  await page.at(address);
  await usable(page);
  const took = performance.now() - begun;
  sound(page);
  await page.close();
  return took;
}

for (const [what, address, usable] of [
  ['the list of zones', '#/zones', (page) => page.getByRole('link', { name: /^zone\d+\.example\.net/ }).first().waitFor()],
  ['a zone of 10,000 records', '#/zones/big.example.org.', (page) => page.getByText('192.0.2.').first().waitFor()],
]) {
  test(`${what} is there soon after a cold load`, async () => {
    const times = [];
    for (let turn = 0; turn < 5; turn++) times.push(await coldLoad(address, usable));
    times.sort((a, b) => a - b);
    console.log(`${what}: ${times.map((time) => Math.round(time)).join(', ')} ms`);
    // A bound for a machine that does much else; the times themselves are printed.
    assert.ok(times[2] < 10_000);
  });
}
