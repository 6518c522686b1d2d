// @ts-check
/**
 * A new zone: with a name server, or from a zone file; what it will hold is shown before it is made.
 */
import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { call } from '../lib/api.js';
import { Changes } from '../lib/changes.js';
import { useSettled } from '../lib/hooks.js';
import { Badge, Button, Dialog, Field, Notice, count } from '../lib/kit.js';
import { go } from '../lib/router.js';
import { toast } from '../lib/toast.js';
import { faultOfName, toAscii, toUnicode } from '../logic/names.js';
import { guessZone } from '../logic/zonefile.js';

/** @param {{ onClose: () => void }} props */
export function NewZone({ onClose }) {
  const [way, setWay] = useState(/** @type {'servers' | 'file'} */ ('servers'));
  const [zone, setZone] = useState('');
  const [servers, setServers] = useState('');
  const [file, setFile] = useState('');
  const [isBusy, setIsBusy] = useState(false);
  const body = useSettled(JSON.stringify(bodyOf(way, zone, servers, file)), 300);
  const [preview, setPreview] = useState(/** @type {any} */ (null));
  useEffect(() => {
    if (faultOfName(zone) !== '' || (way === 'file' && file.trim() === '')) {
      setPreview(null);
      return undefined;
    }
    const abort = new AbortController();
    call('POST', '/api/zonda/zones', { query: { dry_run: true }, body: JSON.parse(body), signal: abort.signal }).then(
      (report) => setPreview({ report }),
      (error) => abort.signal.aborted || setPreview({ error }),
    );
    return () => abort.abort();
  }, [body]);
  const error = preview?.error;
  const make = async () => {
    if (isBusy || zone.trim() === '') return;
    setIsBusy(true);
    try {
      const report = await call('POST', '/api/zonda/zones', { body: bodyOf(way, zone, servers, file) });
      toast(`${toUnicode(report.zone)} is served.`);
      go(`/zones/${encodeURIComponent(report.zone)}`);
    } catch (why) {
      setPreview({ error: why });
      setIsBusy(false);
    }
  };
  const take = (/** @type {string} */ text, /** @type {string} */ name) => {
    setFile(text);
    const guess = guessZone(text, name);
    if (guess) setZone((/** @type {string} */ old) => old || toUnicode(guess));
  };
  const local = zone && faultOfName(zone);
  const lines = error?.fields?.zonefile;
  const serverFault = Object.entries(error?.fields ?? {}).find(([name]) => name.startsWith('nameservers'))?.[1].message;
  const others = error && !lines && !serverFault && !error.fields?.zone && !error.fields?.zonefile?.message;
  return html`<${Dialog} title="New zone" wide=${way === 'file'} onClose=${onClose} onSubmit=${make} actions=${html`
      <${Button} onClick=${onClose}>Cancel</${Button}>
      <${Button} kind="primary" type="submit" busy=${isBusy} disabled=${!zone.trim() || Boolean(error) || (way === 'file' && !file.trim())}>Create zone</${Button}>`}>
    <div class="segments" role="group" aria-label="Begin with">
      <button type="button" aria-pressed=${way === 'servers'} onClick=${() => setWay('servers')}>Name servers</button>
      <button type="button" aria-pressed=${way === 'file'} onClick=${() => setWay('file')}>A zone file</button>
    </div>
    <${Field} label="Name of the zone" mono autofocus placeholder="example.org" value=${zone} onValue=${setZone}
      error=${local || error?.field?.('zone') || (error?.status === 409 && 'There is such a zone already.')}
      hint=${/[^\x00-\x7f]/.test(zone) ? `In DNS: ${toAscii(zone)}` : ''} />
    ${way === 'servers'
      ? html`<${Field} label="Name servers" control="textarea" mono rows="3" value=${servers} onValue=${setServers} placeholder=${'ns1.example.net.\nns2.example.net.'} error=${serverFault}
          hint="One on each line; with a final dot in full, else below the zone. Without any it is ns1 below the zone, whose address you add next." />`
      : html`<${ZoneFile} value=${file} onValue=${take} />`}
    <${Faults} lines=${lines} />
    ${others && error.status !== 409 && html`<${Notice} kind="bad">${error.message}</${Notice}>`}
    <${Preview} report=${preview?.report} isFile=${way === 'file'} />
  </${Dialog}>`;
}

/** What the zone will hold. @param {{ report: any, isFile: boolean }} props */
function Preview({ report, isFile }) {
  if (!report) return html`<p class="dim preview-none">${isFile ? 'What the zone will hold is shown here before it is made.' : ''}</p>`;
  return html`<section class="preview"><h3>Will be served with ${count(report.added)} records <${Badge} kind="accent">serial ${report.serial}</${Badge}></h3>
    ${report.warnings.map((/** @type {any} */ { line, message }) => html`<${Notice} kind="warn">${line ? `Line ${line}: ` : ''}${message}</${Notice}>`)}
    ${report.changes ? html`<${Changes} changes=${report.changes} />` : html`<p class="dim">That is too much to list here.</p>`}</section>`;
}

/** The faults of a zone file, by line. @param {{ lines: { line: number, message: string }[] | undefined }} props */
export const Faults = ({ lines }) => (lines?.length
  ? html`<div class="faults" role="alert"><h3>The zone file has ${count(lines.length)} ${lines.length === 1 ? 'fault' : 'faults'}</h3>
    <ol>${lines.slice(0, 50).map(({ line, message }) => html`<li><span class="dim">${line ? `Line ${line}` : 'Zone'}</span><span>${message}</span></li>`)}</ol></div>`
  : null);

/** A zone file that is pasted, dropped or chosen. @param {{ value: string, onValue: (text: string, name: string) => void }} props */
export function ZoneFile({ value, onValue }) {
  const [isOver, setIsOver] = useState(false);
  const chooser = useRef(/** @type {any} */ (null));
  const readFile = async (/** @type {File | undefined} */ file) => file && onValue(await file.text(), file.name);
  const drop = (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    setIsOver(false);
    void readFile(event.dataTransfer?.files[0]);
  };
  return html`<div class="drop ${isOver ? 'over' : ''}" onDrop=${drop} onDragOver=${(/** @type {Event} */ event) => {
      event.preventDefault();
      setIsOver(true);
    }} onDragLeave=${() => setIsOver(false)}>
    <${Field} label="Zone file" control="textarea" mono rows="8" value=${value} onValue=${(/** @type {string} */ text) => onValue(text, '')}
      placeholder=${'$ORIGIN example.org.\n@    1h SOA ns1 hostmaster 1 2h 1h 14d 5m\n@    1h NS  ns1\nns1  1h A   192.0.2.53'} hint="Paste it, drop a file here, or choose one." />
    <input type="file" class="hidden" tabindex="-1" aria-label="Zone file to read" ref=${chooser} onChange=${(/** @type {any} */ event) => readFile(event.target.files[0])} />
    <${Button} small icon="upload" onClick=${() => chooser.current.click()}>Choose a file</${Button}>
  </div>`;
}

/** The request. @param {string} way @param {string} zone @param {string} servers @param {string} file */
function bodyOf(way, zone, servers, file) {
  const list = servers.split(/[\s,]+/).filter(Boolean).map(toAscii);
  return { zone: toAscii(zone.trim()), ...(way === 'file' ? { zonefile: file } : list.length ? { nameservers: list } : {}) };
}
