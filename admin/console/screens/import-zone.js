// @ts-check
/**
 * A zone file in place of what a zone holds; what that changes is shown before it is done.
 */
import { html, useEffect, useState } from '../vendor/preact.js';
import { call, zonePath } from '../lib/api.js';
import { Changes } from '../lib/changes.js';
import { useSettled } from '../lib/hooks.js';
import { Button, Dialog, Notice, count } from '../lib/kit.js';
import { toUnicode } from '../logic/names.js';
import { Faults, ZoneFile } from './new-zone.js';

/** @param {{ zone: string, serial: number | null, onClose: () => void, onImported: (report: any) => void }} props */
export function ImportZone({ zone, serial, onClose, onImported }) {
  const [text, setText] = useState('');
  const [tried, setTried] = useState(/** @type {any} */ (null));
  const [isBusy, setIsBusy] = useState(false);
  const settled = useSettled(text, 300);
  const put = (/** @type {any} */ query, /** @type {AbortSignal} */ signal) => call('PUT', zonePath(zone, 'zonefile'), { query, body: text, serial, signal });
  useEffect(() => {
    setTried(null);
    if (settled.trim() === '') return undefined;
    const abort = new AbortController();
    put({ dry_run: true }, abort.signal).then(
      (report) => setTried({ report }),
      (error) => abort.signal.aborted || setTried({ error }),
    );
    return () => abort.abort();
  }, [settled, serial]);
  const { report, error } = tried ?? {};
  const isReady = Boolean(report) && settled === text;
  const replace = async () => {
    if (!isReady || isBusy) return;
    setIsBusy(true);
    try {
      onImported(await put({}, new AbortController().signal));
    } catch (why) {
      setTried({ error: why });
      setIsBusy(false);
    }
  };
  const lines = Array.isArray(error?.fields?.zonefile) ? error.fields.zonefile : undefined;
  return html`<${Dialog} title="Import into ${toUnicode(zone)}" wide onClose=${onClose} onSubmit=${replace} actions=${html`
      <span class="start dim">${report ? `${count(report.added)} records in, ${count(report.removed)} out` : ''}</span>
      <${Button} onClick=${onClose}>Cancel</${Button}><${Button} kind="primary" type="submit" busy=${isBusy} disabled=${!isReady}>Replace the records</${Button}>`}>
    <p class="dim">Afterwards the zone holds what the file says and nothing else. The history can take it back.</p>
    <${ZoneFile} value=${text} onValue=${setText} />
    <${Faults} lines=${lines} />
    ${error && !lines && html`<${Notice} kind="bad">${error.status === 412 ? 'The zone has just been changed elsewhere. Close this, look at it, and import again.' : error.message}</${Notice}>`}
    ${report?.warnings.map((/** @type {any} */ { line, message }) => html`<${Notice} kind="warn">${line ? `Line ${line}: ` : ''}${message}</${Notice}>`)}
    ${report && (report.changes ? html`<${Changes} changes=${report.changes} empty="The zone holds just this already." />` : html`<p class="dim">That is too much to list here.</p>`)}
  </${Dialog}>`;
}
