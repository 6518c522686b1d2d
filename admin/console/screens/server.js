// @ts-check
/**
 * What the server is, what it holds, its back-up, and who may use its API.
 */
import { html, useEffect, useState } from '../vendor/preact.js';
import { call, download, get, logOut } from '../lib/api.js';
import { useLoad, useTitle } from '../lib/hooks.js';
import { Badge, Button, Copy, count, Dialog, Empty, Failure, Field, Head, IconButton, Notice, SkeletonRows, When } from '../lib/kit.js';
import { toast } from '../lib/toast.js';
import { toAscii, toUnicode } from '../logic/names.js';

/** All that is known of the server. */
export function Server() {
  useTitle('Server');
  const { data, error, reload } = useLoad((signal) => get('/api/zonda/status', { signal }), []);
  const { data: welcome } = useLoad((signal) => get('/api/zonda/welcome', { signal }), []);
  useEffect(() => {
    // Loading and the clock go on; a page that is not seen asks nothing.
    const timer = setInterval(() => document.hidden || reload(), data && !data.loading.done ? 1000 : 5000);
    return () => clearInterval(timer);
  }, [data?.loading.done]);
  return html`<${Head} title="Server" aside=${data?.version}>
      <${Backup} /><${Reload} />
      <${Button} icon="logout" onClick=${logOut}>Log out</${Button}>
    </${Head}>
    ${error && html`<${Failure} error=${error} onRetry=${reload} />`}
    <div class="panels">${data && html`<${State} status=${data} /><${Listeners} status=${data} />`}</div>
    <${Tokens} />
    <section class="panel pad"><header class="panel-head"><h2>Password</h2><span class="grow"></span><${NewPassword} /></header>
      ${welcome?.default_account && html`<${Notice} kind="warn">The superuser still has the password that everybody knows. Until there is another one, HTTP is answered on the server’s own machine only.</${Notice}>`}
      <p class="dim">The superuser’s password stands in the Corefile or in the environment of the server, and is taken at its start.</p></section>`;
}

/** What it is made of, and what it holds. @param {{ status: any }} props */
function State({ status }) {
  const { io, snapshot, loading, workers, databases } = status;
  const part = loading.records > 0 ? Math.floor((loading.records_loaded / loading.records) * 100) : 100;
  return html`<section class="panel pad"><h2>State</h2><dl class="facts">
    <div><dt>Running for</dt><dd title=${new Date(status.started.replace(' ', 'T')).toLocaleString()}>${uptime(status.uptime_seconds)}</dd></div>
    <div><dt>Build</dt><dd>${status.build}</dd></div>
    <div><dt>Zones</dt><dd>${count(snapshot.zones)} with ${count(snapshot.names)} names</dd></div>
    <div><dt>Loaded</dt><dd>${loading.done ? `all of it: ${count(loading.records)} records at the start` : html`<span class="progress"><progress max="100" value=${part} aria-label="Records loaded"></progress> ${count(loading.records_loaded)} of ${count(loading.records)} records</span>`}</dd></div>
    ${databases.map((/** @type {any} */ { folder, octets }) => html`<div key=${folder}><dt>Database</dt><dd><span class="mono">${folder}</span>, ${size(octets)}</dd></div>`)}
    ${io && html`<div><dt>Datagrams</dt><dd>over ${io.way}${io.reason && html`<span class="dim">: ${io.reason}</span>`}</dd></div>`}
    <div><dt>Workers</dt><dd>${workers.map((/** @type {any} */ { cpu, received, answered }, /** @type {number} */ at) => html`<span key=${at} class="worker">${cpu === null ? 'any CPU' : `CPU ${cpu}`}: ${count(received)} in, ${count(answered)} answered</span>`)}</dd></div>
  </dl></section>`;
}

/** Where it listens. @param {{ status: any }} props */
const Listeners = ({ status: { listeners } }) => html`<section class="panel pad"><h2>Listeners</h2>
  <ul class="listeners">${listeners.map((/** @type {any} */ { address }) => html`<li key=${address}><code>${address}</code></li>`)}</ul>
  ${listeners.length === 0 && html`<p class="dim">No address is open.</p>`}</section>`;

/** Offers a new password for the configuration, which is where it lives. */
function NewPassword() {
  const [password, setPassword] = useState('');
  return html`<${Button} small onClick=${() => setPassword(random())}>Change the password</${Button}>
    ${password && html`<${Dialog} title="Change the password" onClose=${() => setPassword('')} actions=${html`<${Button} kind="primary" onClick=${() => setPassword('')}>Done</${Button}>`}>
      <p>Put a password of your own, or this new one, into the block <code>pocketbase</code> of the Corefile:</p>
      <${Copy} text=${`su_password ${password}`} />
      <p>or into the environment of the server, so that it stands in no file of the configuration:</p>
      <${Copy} text=${`COREDNS_PB_SUPERUSER_PWD=${password}`} />
      <p>Then start the server again. All who are logged in have to log in anew; API tokens stay.</p>
    </${Dialog}>`}`;
}

/** Downloads all zones with their history. */
function Backup() {
  const [isBusy, setIsBusy] = useState(false);
  const save = async () => {
    setIsBusy(true);
    try {
      await download('/api/zonda/backup', `zonda-${new Date().toISOString().slice(0, 19).replace(/[:T]/g, '')}.backup`);
      toast('The back-up is downloaded. zonda restore reads it.');
    } catch (why) {
      toast(/** @type {Error} */ (why).message, 'bad');
    }
    setIsBusy(false);
  };
  return html`<${Button} icon="download" busy=${isBusy} onClick=${save}>Download back-up</${Button}>`;
}

/** Reads the configuration anew. */
function Reload() {
  const [isBusy, setIsBusy] = useState(false);
  const reload = async () => {
    setIsBusy(true);
    try {
      await call('POST', '/api/zonda/reload', { body: {} });
      toast('The Corefile has been read anew.');
    } catch (why) {
      toast(/** @type {Error} */ (why).message, 'bad');
    }
    setIsBusy(false);
  };
  return html`<${Button} icon="undo" busy=${isBusy} onClick=${reload} title="Reads the Corefile anew">Reload</${Button}>`;
}

/** The API tokens. */
function Tokens() {
  const { data, error, reload } = useLoad((signal) => get('/api/zonda/tokens', { signal }), []);
  const [isMaking, setIsMaking] = useState(false);
  const [voided, setVoided] = useState(/** @type {any} */ (null));
  const tokens = data?.tokens ?? [];
  return html`<section class="panel pad" aria-label="API tokens"><header class="panel-head"><h2>API tokens</h2><span class="dim">for scripts, under <code>/api/zonda/</code></span><span class="grow"></span>
      <${Button} small icon="plus" onClick=${() => setIsMaking(true)}>New token</${Button}></header>
    ${error && html`<${Failure} error=${error} onRetry=${reload} />`}
    ${data && tokens.length === 0 && html`<${Empty} icon="key" title="No tokens">A token lets a script read or write zones without the superuser’s password.</${Empty}>`}
    ${(!data || tokens.length > 0) && !error && html`<div class="table"><table>
      <thead><tr><th scope="col">Name</th><th scope="col">May</th><th scope="col">Zones</th><th scope="col" class="wide-only">Made</th><th scope="col" class="wide-only">Last used</th><th scope="col" class="wide-only">Ends</th><th scope="col"><span class="hidden">Revoke</span></th></tr></thead>
      <tbody>${!data && html`<${SkeletonRows} rows=${2} columns=${7} />`}
        ${tokens.map((/** @type {any} */ token) => html`<tr key=${token.id}><td class="mono">${token.name}</td><td>${token.scope}</td>
          <td>${token.zones.length === 0 ? 'all' : html`<span class="mono">${token.zones.map(toUnicode).join(', ')}</span>`}</td>
          <td class="wide-only"><${When} at=${token.created} /></td><td class="wide-only">${token.used ? (isThisHour(token.used) ? 'this hour' : html`<${When} at=${token.used} />`) : html`<span class="dim">never</span>`}</td>
          <td class="wide-only">${token.expires ? html`<${When} at=${token.expires} />` : html`<span class="dim">never</span>`}</td>
          <td class="end"><${IconButton} icon="trash" label=${`Revoke ${token.name}`} onClick=${() => setVoided(token)} /></td></tr>`)}</tbody></table></div>`}
    ${isMaking && html`<${NewToken} onClose=${() => setIsMaking(false)} onMade=${reload} />`}
    ${voided && html`<${Revoke} token=${voided} onClose=${() => setVoided(null)} onDone=${reload} />`}
  </section>`;
}

/** Makes a token, and shows its secret this once. @param {{ onClose: () => void, onMade: () => void }} props */
function NewToken({ onClose, onMade }) {
  const [name, setName] = useState('');
  const [scope, setScope] = useState('read');
  const [zones, setZones] = useState('');
  const [days, setDays] = useState('');
  const [made, setMade] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [isBusy, setIsBusy] = useState(false);
  const submit = async () => {
    if (isBusy) return;
    setIsBusy(true);
    setError(null);
    const list = zones.split(/[\s,]+/).filter(Boolean).map(toAscii);
    const body = { name: name.trim(), scope, ...(list.length > 0 && { zones: list }), ...(days && { duration: Number(days) * 86_400 }) };
    try {
      setMade(await call('POST', '/api/zonda/tokens', { body }));
      onMade();
    } catch (why) {
      setError(why);
    }
    setIsBusy(false);
  };
  if (made) {
    return html`<${Dialog} title=${`Token ${made.name}`} onClose=${onClose} actions=${html`<${Button} kind="primary" onClick=${onClose}>Done</${Button}>`}>
      <p>This is the token. It is shown this once, so keep it now.</p><${Copy} text=${made.token} />
      <p class="dim">Scripts send it as <code>Authorization: Bearer …</code></p></${Dialog}>`;
  }
  const fault = (/** @type {string} */ field) => error?.field?.(field);
  return html`<${Dialog} title="New API token" onClose=${onClose} onSubmit=${submit}
    actions=${html`<${Button} onClick=${onClose}>Cancel</${Button}><${Button} kind="primary" type="submit" busy=${isBusy}>Make token</${Button}>`}>
    <${Field} label="Name" mono value=${name} onValue=${setName} error=${fault('name')} hint="What the history will call it: letters, digits, - _ ." autofocus />
    <${Field} label="May" control="select" value=${scope} onValue=${setScope} error=${fault('scope')}><option value="read">read</option><option value="write">read and write</option></${Field}>
    <${Field} label="Zones" mono value=${zones} onValue=${setZones} error=${fault('zones')} placeholder="all zones" hint="Names with spaces between; each with all below it. Empty for all zones." />
    <${Field} label="Ends after, days" type="number" min="1" value=${days} onValue=${setDays} error=${fault('duration')} placeholder="never" />
    ${error && !Object.keys(error.fields ?? {}).length && html`<${Notice} kind="bad">${error.message}</${Notice}>`}
  </${Dialog}>`;
}

/** Voids a token. @param {{ token: any, onClose: () => void, onDone: () => void }} props */
function Revoke({ token, onClose, onDone }) {
  const [isBusy, setIsBusy] = useState(false);
  const submit = async () => {
    setIsBusy(true);
    try {
      await call('DELETE', `/api/zonda/tokens/${encodeURIComponent(token.id)}`);
      toast(`The token ${token.name} is void.`);
    } catch (why) {
      toast(/** @type {Error} */ (why).message, 'bad');
    }
    onDone();
    onClose();
  };
  return html`<${Dialog} title=${`Revoke ${token.name}?`} onClose=${onClose} onSubmit=${submit}
    actions=${html`<${Button} onClick=${onClose} autofocus>Cancel</${Button}><${Button} kind="danger" type="submit" busy=${isBusy}>Revoke</${Button}>`}>
    <p>Scripts that use it are refused from now on. This cannot be undone.</p></${Dialog}>`;
}

/** Whether a time lies in the last hour; the use of a token is kept to the hour. @param {string} at */
const isThisHour = (at) => Date.now() - Date.parse(at.replace(' ', 'T')) < 3_600_000;

/** A password that nobody guesses. */
function random() {
  const octets = crypto.getRandomValues(new Uint8Array(18));
  return btoa(String.fromCharCode(...octets)).replace(/\+/g, '-').replace(/\//g, '_');
}

/** A duration in its two largest units. @param {number} seconds */
function uptime(seconds) {
  const units = /** @type {[number, string][]} */ ([[86_400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']]);
  const at = Math.max(units.findIndex(([length]) => seconds >= length), 0);
  const [first, second] = units.slice(at, at + 2);
  if (seconds < 1) return '0 s';
  return `${Math.floor(seconds / first[0])} ${first[1]}${second ? ` ${Math.floor((seconds % first[0]) / second[0])} ${second[1]}` : ''}`;
}

/** Octets for people. @param {number | null} octets */
function size(octets) {
  if (octets === null) return 'its size is not known';
  const power = Math.min(Math.floor(Math.log2(Math.max(octets, 1)) / 10), 4);
  return `${(octets / 1024 ** power).toFixed(power > 0 ? 1 : 0)} ${['octets', 'KiB', 'MiB', 'GiB', 'TiB'][power]}`;
}
