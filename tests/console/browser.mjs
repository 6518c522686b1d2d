// A browser, and pages in it that note all that a page must not do.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import axe from 'axe-core';
import { chromium } from 'playwright-core';
import { EMAIL, PASSWORD, ROOT } from './server.mjs';

/** Starts the system's Chromium; in a container its own sandbox cannot be made. */
export async function launch() {
  const programs = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
  const executablePath = process.env.CHROMIUM ?? programs.find((program) => fs.existsSync(program));
  assert.ok(executablePath, 'no Chromium is installed');
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

/** A page of a fresh profile. `page.faults` has what went wrong: errors on the console, breaches of the content policy,
 * exceptions, and requests to other places than the server. */
export async function open(browser, server, { theme = 'light', width = 1280, height = 800, ...more } = {}) {
  const context = await browser.newContext({ colorScheme: theme, viewport: { width, height }, ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.faults = [];
  /** Errors that the test means to happen. */
  page.meant = [];
  const note = (fault) => page.meant.some((meant) => meant.test(fault)) || page.faults.push(fault);
  page.on(
    'console',
    (message) => message.type() === 'error' && note(`console: ${message.text()} ${message.location().url}`),
  );
  page.on('pageerror', (error) => note(`exception: ${error.stack}`));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(server.url) && !/^(data|blob):/.test(url)) note(`request elsewhere: ${url}`);
  });
  await page.exposeFunction('noteBreach', (breach) => note(`content policy: ${breach}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      window.noteBreach(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
    });
  });
  page.at = (hash) => page.goto(`${server.url}/${hash}`);
  page.close = () => context.close();
  return page;
}

/** Opens a page and logs in by hand. */
export async function logIn(page, hash = '', password = PASSWORD, email = EMAIL) {
  await page.at(hash);
  await page.getByLabel(/e-?mail/i).fill(email);
  await page.getByLabel(/password/i).fill(password);
  await page.getByRole('button', { name: /log in/i }).click();
}

/** Lets the page's time stand still: its timers and frames come no more until `page.clock.resume()`. It needs
 * `page.clock.install()` before the page is opened. */
export async function freeze(page) {
  // It can stop only ahead of where it is: by more than a busy machine loses between these two, and by less than what
  // makes the page give up a silent stream.
  await page.clock.pauseAt((await page.evaluate(() => Date.now())) + 20_000);
}

/** Nothing went wrong on a page. */
export function sound(page) {
  assert.deepEqual(page.faults, []);
}

/** The page has no fault that axe-core finds. */
export async function accessible(page, what) {
  // The page's policy lets no script in; one that the browser itself runs is not the page's.
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const told = found.violations.map(
    ({ id, help, nodes }) =>
      `${id}: ${help}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join(' | ')}`,
  );
  assert.deepEqual(told, [], what);
}

/** The page needs no scrolling sideways. */
export async function narrow(page, what) {
  const [content, width] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(content <= width, `${what} is ${content} px wide in a window of ${width} px`);
}

/** Keeps a picture of a page under target/console-screens. */
export async function picture(page, name) {
  const folder = path.join(ROOT, 'target/console-screens');
  fs.mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: false, animations: 'disabled' });
}
