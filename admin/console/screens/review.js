// @ts-check
/**
 * The staged edits as a diff, tried out by the server, then made in one transaction. What somebody else has changed
 * meanwhile is shown beside it, and not overwritten unless one says so.
 */
import { html, useEffect, useState } from '../vendor/preact.js';
import { ApiError, call, get, zonePath } from '../lib/api.js';
import { useKeys } from '../lib/keys.js';
import { Badge, Button, Dialog, IconButton, Notice, count } from '../lib/kit.js';
import { conflicts, diff, faultsOf, rebase, size, toChanges, unstage } from '../logic/draft.js';
import { relative, toUnicode } from '../logic/names.js';
import { show } from '../logic/types.js';
import { served } from './record-form.js';

/** @typedef {import('../logic/draft.js').Draft} Draft */
/** @typedef {import('../logic/draft.js').Value} Value */

/** @param {{ zone: string, draft: Draft, onDraft: (draft: Draft) => void, onClose: () => void, onApplied: (report: any, edit: any) => void }} props */
export function Review({ zone, draft, onDraft, onClose, onApplied }) {
  const [tried, setTried] = useState(/** @type {any} */ (null));
  const [clash, setClash] = useState(/** @type {null | { serial: number | null, served: Map<string, Value | null> }} */ (null));
  const [mine, setMine] = useState(/** @type {Set<string>} */ (new Set()));
  const [moved, setMoved] = useState(/** @type {number | null} */ (null));
  const [isBusy, setIsBusy] = useState(false);
  const text = JSON.stringify(draft);
  /** What the server has where something is edited. */
  const look = async () => new Map(await Promise.all(Object.entries(draft.edits).map(async ([key, edit]) => /** @type {[string, Value | null]} */ ([key, await served(edit.zone ?? zone, edit)]))));
  /** Sends the edits, perhaps only to try them; on 412 sees what has become of the zone. */
  const send = async (/** @type {boolean} */ isTrial) => {
    // The serial is the zone's own; what is edited of others is looked at.
    if (Object.values(draft.edits).some((edit) => edit.zone)) {
      const now = await look();
      if (conflicts(draft, now).length) {
        setClash({ serial: draft.serial, served: now });
        return {};
      }
    }
    const query = isTrial ? { dry_run: true, fields: 'serial,from,warnings,added,removed' } : {};
    try {
      return { report: await call('PATCH', zonePath(zone, 'rrsets'), { query, body: { changes: toChanges(draft) }, serial: draft.serial }) };
    } catch (why) {
      if (!(why instanceof ApiError) || why.status !== 412) return { error: why };
      const { serial } = await get(zonePath(zone));
      const now = await look();
      if (conflicts(draft, now).length) setClash({ serial, served: now });
      else {
        setMoved(serial);
        onDraft(rebase(draft, serial, now, new Set()));
      }
      return {};
    }
  };
  useEffect(() => {
    let isOn = true;
    setTried(null);
    if (size(draft)) send(true).then((result) => isOn && setTried(result), (error) => isOn && setTried({ error }));
    else onClose();
    return () => {
      isOn = false;
    };
  }, [text]);
  const apply = async () => {
    if (isBusy || clash || tried?.error) return;
    setIsBusy(true);
    try {
      const result = await send(false);
      if (result.report) {
        // Something new is what one wants to ask for first.
        const asked = Object.values(draft.edits).filter((edit) => edit.after && !edit.zone);
        return onApplied(result.report, asked.find((edit) => !edit.before) ?? asked.pop() ?? null);
      }
      setTried(result);
    } catch (error) {
      setTried({ error });
    }
    return setIsBusy(false);
  };
  useKeys([['Ctrl+Enter', 'Apply', apply]], true);
  if (clash) {
    const settle = () => {
      onDraft(rebase(draft, clash.serial, clash.served, mine));
      setMoved(clash.serial);
      setClash(null);
      setIsBusy(false);
    };
    return html`<${Conflicts} zone=${zone} list=${conflicts(draft, clash.served)} mine=${mine} onMine=${setMine} onClose=${onClose} onSettle=${settle} />`;
  }
  const faults = tried?.error instanceof ApiError ? faultsOf(draft, tried.error.fields) : [];
  const edits = Object.entries(draft.edits);
  return html`<${Dialog} title="Review ${count(edits.length)} ${edits.length === 1 ? 'edit' : 'edits'}" wide onClose=${onClose} onSubmit=${apply} actions=${html`
      <span class="start dim">${tried?.report ? `${count(tried.report.added)} records in, ${count(tried.report.removed)} out, the SOA among them` : tried ? '' : 'The server looks at it …'}</span>
      <${Button} onClick=${onClose}>Go on editing</${Button}>
      <${Button} kind="primary" type="submit" autofocus busy=${isBusy} disabled=${Boolean(tried?.error)} title="Ctrl+Enter">Apply</${Button}>`}>
    ${moved !== null && html`<${Notice}>The zone has been changed elsewhere and is at serial ${moved} now. Your edits are based on that.</${Notice}>`}
    ${tried?.error && html`<${Notice} kind="bad">${faults.length ? 'The server does not take this as it is.' : tried.error.message}</${Notice}>`}
    ${faults.filter(({ key }) => key === null).map(({ message }) => html`<${Notice} kind="bad">${message}</${Notice}>`)}
    ${tried?.report?.warnings.map((/** @type {any} */ { message }) => html`<${Notice} kind="warn">${message}</${Notice}>`)}
    <div class="diff">${edits.map(([key, edit]) => html`<div key=${key}><${RrsetDiff} name=${edit.name} type=${edit.type} zone=${edit.zone ?? zone} lines=${diff(edit.before, edit.after)}>
        ${edit.zone && html`<${Badge}>${toUnicode(edit.zone)}</${Badge}>`}
        <${IconButton} icon="undo" label="Take this edit back" onClick=${() => onDraft(unstage(draft, key))} /></${RrsetDiff}>
      ${faults.filter((fault) => fault.key === key).map(({ message }) => html`<p class="diff-fault" role="alert">${message}</p>`)}</div>`)}</div>
  </${Dialog}>`;
}

/**
 * A line of a diff.
 * @typedef {{ sign: '-' | '+' | ' ', ttl: number | null, content: string }} DiffLine
 */

/** The lines of one RRset. @param {{ name: string, type: string, zone: string, lines: DiffLine[], children?: any }} props */
const RrsetDiff = ({ name, type, zone, lines, children }) => html`<div class="rrset-diff">
  <div class="place"><span class="mono" title=${name}>${toUnicode(relative(name, zone))}</span><span class="type">${type}</span>${children}</div>
  ${lines.map(({ sign, ttl, content }) => html`<div class="line ${SIGNS[sign]}"><span class="sign" aria-label=${WORDS[sign]}>${sign}</span><span class="ttl">${ttl ?? 'default'}</span><code>${show(type, content)}</code></div>`)}
</div>`;

/** Edits of what somebody else has changed, to choose for each whose is to stay. @param {{ zone: string, list: any[], mine: Set<string>, onMine: (mine: Set<string>) => void, onClose: () => void, onSettle: () => void }} props */
function Conflicts({ zone, list, mine, onMine, onClose, onSettle }) {
  const choose = (/** @type {string} */ key, /** @type {boolean} */ isMine) => {
    const next = new Set(mine);
    isMine ? next.add(key) : next.delete(key);
    onMine(next);
  };
  return html`<${Dialog} title="Somebody else has changed this" wide onClose=${onClose} onSubmit=${onSettle} actions=${html`
      <${Button} onClick=${onClose}>Later</${Button}><${Button} kind="primary" type="submit">Go on with these</${Button}>`}>
    <p>Since you began, ${list.length === 1 ? 'an RRset that you edit has' : `${list.length} RRsets that you edit have`} been changed elsewhere. Nothing is overwritten; choose which is to stay.</p>
    ${list.map(({ key, edit, theirs }) => html`<section class="clash" key=${key}>
      <header><h3><span class="mono">${toUnicode(relative(edit.name, edit.zone ?? zone))}</span> ${edit.type}</h3>
        <div class="segments" role="group" aria-label="Which is to stay"><button type="button" autofocus aria-pressed=${!mine.has(key)} onClick=${() => choose(key, false)}>Keep theirs</button><button type="button" aria-pressed=${mine.has(key)} onClick=${() => choose(key, true)}>Keep mine</button></div></header>
      <div class="three">${[['It was', edit.before], ['Theirs', theirs], ['Mine', edit.after]].map(([title, value]) => html`<div class=${(title === 'Mine') === mine.has(key) && title !== 'It was' ? 'stays' : ''}><h4>${title}</h4><${Records} type=${edit.type} value=${value} /></div>`)}</div>
    </section>`)}
  </${Dialog}>`;
}

/** The records of an RRset, in a few lines. @param {{ type: string, value: Value | null }} props */
const Records = ({ type, value }) => (value ? html`<ul>${value.contents.map((content) => html`<li><span class="dim">${value.ttl ?? 'default'}</span> <code>${show(type, content)}</code></li>`)}</ul>` : html`<p class="dim">no record</p>`);

/** @type {Record<string, string>} */
const SIGNS = { '-': 'goes', '+': 'comes', ' ': 'stays' };

/** @type {Record<string, string>} */
const WORDS = { '-': 'removed', '+': 'added', ' ': 'kept' };
