// @ts-check
/**
 * The frame around the screens: who is logged in, the navigation, the help.
 */
import { html, render, useEffect, useErrorBoundary, useState } from './vendor/preact.js';
import { get, isLoggedIn, logOut, onSession } from './lib/api.js';
import { Icon } from './lib/icons.js';
import { keysNow, useKeys } from './lib/keys.js';
import { Button, Dialog, Empty, Head, IconButton, Notice } from './lib/kit.js';
import { start, stop, useConnection } from './lib/live.js';
import { go, href, match, usePlace } from './lib/router.js';
import { Toasts } from './lib/toast.js';
import { LogIn } from './screens/login.js';
import { SCREENS } from './screens.js';

/** The whole page. */
function App() {
  const [, setTurn] = useState(0);
  useEffect(() => onSession(() => setTurn((/** @type {number} */ old) => old + 1)), []);
  return html`${isLoggedIn() ? html`<${Frame} />` : html`<${LogIn} />`}<${Toasts} />`;
}

/** Navigation and the screen that the address names. */
function Frame() {
  const place = usePlace();
  const [helps, setHelps] = useState(false);
  const [isTold, setIsTold] = useState(false);
  const [welcome, setWelcome] = useState(/** @type {any} */ (null));
  const connection = useConnection();
  useEffect(() => {
    start();
    return stop;
  }, []);
  useEffect(() => void get('/api/zonda/welcome').then(setWelcome, () => {}), []);
  useEffect(() => {
    if (place.path === '/') location.replace(href('/zones'));
  }, [place.path]);
  const rows = SCREENS.filter((row) => row.nav);
  useKeys([
    ['?', 'Show the keys', () => setHelps(true)],
    ...rows.map((row) => /** @type {import('./lib/keys.js').Key} */ ([`g ${row.key}`, `Go to ${row.nav}`, () => go(row.path)])),
  ]);
  const row = SCREENS.find(({ path }) => match(path, place.path));
  const root = `/${place.path.split('/')[1]}`;
  return html`<div class="frame">
    <a class="skip" href="#main" onClick=${(/** @type {Event} */ event) => {
      event.preventDefault();
      document.querySelector('main')?.focus();
    }}>Skip to the content</a>
    <nav class="rail" aria-label="Main">
      <a class="brand" href=${href('/zones')}><img src="/console/icon.svg" alt="" width="20" height="20" />zonda</a>
      <ul>${rows.map(({ path, nav, icon }) => html`<li key=${path}><a href=${href(path)} aria-current=${path === root ? 'page' : undefined}><${Icon} name=${icon} /><span>${nav}</span></a></li>`)}</ul>
      <div class="foot">
        <${IconButton} icon="keyboard" label="Keys" onClick=${() => setHelps(true)} />
        <${IconButton} icon="logout" label="Log out" onClick=${logOut} />
      </div>
    </nav>
    <main id="main" tabindex="-1">
      ${welcome?.default_account && !isTold && html`<${Notice} kind="warn" actions=${html`<${IconButton} icon="x" label="Dismiss" onClick=${() => setIsTold(true)} />`}>
        <strong>Default password.</strong> Until you set <code>su_password</code> in the Corefile, only this machine is let in.</${Notice}>`}
      ${row ? html`<${Guarded} key=${place.path} row=${row} place=${place} />` : place.path !== '/' && html`<${Head} title="There is no such page" /><div class="panel"><${Empty} icon="search" title="Nothing is here"
        actions=${html`<${Button} href=${href('/zones')}>Go to the zones</${Button}>`}>The address may be from another version of the console.</${Empty}></div>`}
    </main>
    ${connection === 'lost' && html`<div class="lost" role="status"><${Icon} name="alert" /><span>The server cannot be reached. Trying again …</span></div>`}
    ${helps && html`<${Help} onClose=${() => setHelps(false)} />`}
  </div>`;
}

/** A screen, or what went wrong in it. @param {{ row: import('./screens.js').Row, place: import('./lib/router.js').Place }} props */
function Guarded({ row, place }) {
  const [error, reset] = useErrorBoundary();
  if (error) {
    return html`<${Empty} icon="alert" title="This screen has failed" actions=${html`<${Button} onClick=${reset}>Try again</${Button}>`}>${String(error.message ?? error)}</${Empty}>`;
  }
  return html`<${row.screen} params=${match(row.path, place.path)} query=${place.query} />`;
}

/** What can be pressed on this screen. @param {{ onClose: () => void }} props */
function Help({ onClose }) {
  const keys = keysNow();
  return html`<${Dialog} title="Keys" onClose=${onClose}>
    <dl class="keys">${keys.map(([key, what]) => html`<div key=${key}><dt>${key.split(/[ +](?=.)/).map((part) => html`<kbd>${NAMES[part] ?? part}</kbd>`)}</dt><dd>${what}</dd></div>`)}
      <div><dt><kbd>Esc</kbd></dt><dd>Close what is open</dd></div></dl>
  </${Dialog}>`;
}

/** @type {Record<string, string>} */
const NAMES = { Delete: 'Del', ArrowUp: '↑', ArrowDown: '↓', ' ': 'Space' };

const root = document.getElementById('app');
if (root) render(html`<${App} />`, root);
