// @ts-check
/**
 * Small dialogs about a zone: delete it, and one TTL for many records.
 */
import { html, useState } from '../vendor/preact.js';
import { call, zonePath } from '../lib/api.js';
import { forget } from '../lib/drafts.js';
import { Button, Dialog, Field, Notice, count } from '../lib/kit.js';
import { go } from '../lib/router.js';
import { toast } from '../lib/toast.js';
import { canonical, toAscii, toUnicode } from '../logic/names.js';
import { faultOfTtl, seconds } from '../logic/types.js';

/** Deletes a zone once its name has been typed. @param {{ zone: string, info: any, onClose: () => void }} props */
export function DeleteZone({ zone, info, onClose }) {
  const [typed, setTyped] = useState('');
  const [error, setError] = useState(/** @type {any} */ (null));
  const [isBusy, setIsBusy] = useState(false);
  const isRight = typed.trim() !== '' && canonical(toAscii(typed.trim())) === canonical(zone);
  const remove = async () => {
    if (!isRight || isBusy) return;
    setIsBusy(true);
    try {
      await call('DELETE', zonePath(zone), { serial: info?.serial });
      forget(zone);
      toast(`${toUnicode(zone)} is deleted. Its history can bring it back.`);
      go('/zones');
    } catch (why) {
      setError(why);
      setIsBusy(false);
    }
  };
  return html`<${Dialog} title="Delete ${toUnicode(zone)}" onClose=${onClose} onSubmit=${remove} actions=${html`<${Button} onClick=${onClose}>Cancel</${Button}>
      <${Button} kind="danger" icon="trash" type="submit" busy=${isBusy} disabled=${!isRight}>Delete the zone</${Button}>`}>
    <p>From the next query on, its ${info ? count(info.records) : ''} records are not answered any more. The history of the zone is kept for some time and can bring it back.</p>
    <${Field} label="Type the name of the zone" mono autofocus value=${typed} onValue=${setTyped} placeholder=${toUnicode(zone)} />
    ${error && html`<${Notice} kind="bad">${error.message}</${Notice}>`}
  </${Dialog}>`;
}

/** One TTL for the RRsets of some records. @param {{ rows: import('../logic/draft.js').Row[], onClose: () => void, onSet: (ttl: number | null) => void }} props */
export function Ttl({ rows, onClose, onSet }) {
  const [text, setText] = useState('');
  const fault = faultOfTtl(text);
  const sets = new Set(rows.map(({ key }) => key)).size;
  return html`<${Dialog} title="Set TTL" onClose=${onClose} onSubmit=${() => fault || onSet(text.trim() === '' ? null : seconds(text))} actions=${html`<${Button} onClick=${onClose}>Cancel</${Button}>
      <${Button} kind="primary" type="submit" disabled=${Boolean(fault)}>Stage the TTL</${Button}>`}>
    <${Field} label="TTL for ${count(sets)} ${sets === 1 ? 'RRset' : 'RRsets'}" mono autofocus value=${text} onValue=${setText} placeholder="default" error=${fault}
      hint="Seconds, or like 5m, 1h; empty takes the server's default. All records of one name and type share it." />
  </${Dialog}>`;
}
