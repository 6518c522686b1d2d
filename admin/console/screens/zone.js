// @ts-check
/**
 * The records of a zone, grouped by name, with the edits that are staged.
 */
import { html, useMemo, useState } from '../vendor/preact.js';
import { ApiError, download, get, send, zonePath } from '../lib/api.js';
import { useDraft } from '../lib/drafts.js';
import { useLoad, useSettled, useTitle } from '../lib/hooks.js';
import { useKeys } from '../lib/keys.js';
import { Badge, Button, Copy, Empty, Failure, Head, IconButton, Notice, Pager, Search, When, count, focusSearch } from '../lib/kit.js';
import { useLive } from '../lib/live.js';
import { amend, href } from '../lib/router.js';
import { toast } from '../lib/toast.js';
import { empty, keyOf, size, stage, tableOf, unstage, valueOf } from '../logic/draft.js';
import { digCommand } from '../logic/dig.js';
import { parse } from '../logic/filter.js';
import { toUnicode } from '../logic/names.js';
import { TYPES } from '../logic/types.js';
import { ImportZone } from './import-zone.js';
import { RecordForm } from './record-form.js';
import { RecordTable, idOf } from './record-table.js';
import { Review } from './review.js';
import { DeleteZone, Ttl } from './zone-dialogs.js';

/** @typedef {import('../logic/draft.js').Row} Row */

/** @param {{ params: { zone: string }, query: Record<string, string> }} props */
export function Zone({ params: { zone }, query }) {
  useTitle(toUnicode(zone));
  const [typed, setTyped] = useState(query.q ?? '');
  const settled = useSettled(typed);
  const filter = useMemo(() => ({ type: query.type, ...parse(settled) }), [settled, query.type]);
  const page = Number(query.page) || 1;
  const info = useLoad((signal) => get(zonePath(zone), { signal }), [zone]);
  const list = useLoad((signal) => loadPage(zone, { ...filter, page, perPage: PER_PAGE }, signal), [zone, filter, page]);
  const [draft, setDraft] = useDraft(zone);
  const [open, setOpen] = useState(/** @type {any} */ (null));
  const [selected, setSelected] = useState(/** @type {Set<string>} */ (new Set()));
  const [applied, setApplied] = useState(/** @type {any} */ (null));
  const rrsets = list.data?.rrsets ?? NONE;
  const serial = list.data?.serial ?? null;
  const table = useMemo(() => tableOf(rrsets, draft), [rrsets, draft]);
  const rows = useMemo(() => [...table.staged, ...table.rows], [table]);
  const byId = useMemo(() => new Map(rows.map((row) => [idOf(row), row])), [rows]);
  const isFiltered = settled.trim() !== '' || Boolean(query.type);
  const reload = () => {
    info.reload();
    list.reload();
  };
  useLive(reload, zone);
  const chosen = () => {
    const marked = [...selected].map((id) => byId.get(id)).filter((row) => row !== undefined);
    const here = focused(byId);
    return marked.length ? marked : here ? [here] : [];
  };
  const served = (/** @type {{ name: string, type: string }} */ place) => valueOf(rrsets.find((rrset) => keyOf(rrset) === keyOf(place)));
  /** What each RRset of some rows becomes. @param {Row[]} some @param {(value: any, contents: string[]) => any} change */
  const editAll = (some, change) => {
    /** @type {Map<string, Row[]>} */
    const groups = new Map();
    for (const row of some) groups.set(row.key, [...(groups.get(row.key) ?? []), row]);
    let next = draft;
    for (const [key, group] of groups) {
      const edit = next.edits[key];
      const before = edit ? edit.before : served(group[0]);
      const now = edit ? edit.after : before;
      next = stage(next, serial, edit ?? group[0], before, change(now, group.map(({ content }) => content)));
    }
    setDraft(next);
    setSelected(new Set());
  };
  const remove = () => {
    const some = chosen().filter((row) => row.type !== 'SOA');
    if (!some.length) return;
    editAll(some, (now, contents) => now && { ...now, contents: now.contents.filter((/** @type {string} */ content) => !contents.includes(content)) });
  };
  const takeBack = (/** @type {Row[]} */ some) => setDraft(some.reduce((next, row) => unstage(next, row.key), draft));
  const edit = (/** @type {Row} */ row) => row.state !== 'gone' && setOpen({ form: row });
  const pick = (/** @type {Row} */ row, /** @type {Row[]} */ more = [row]) => {
    const next = new Set(selected);
    const isOn = !next.has(idOf(row));
    for (const one of more) isOn ? next.add(idOf(one)) : next.delete(idOf(one));
    setSelected(next);
  };
  const changes = size(draft);
  useKeys([
    ['/', 'Filter records', focusSearch],
    ['n', 'New record', () => setOpen({ form: null })],
    ['ArrowDown', 'Next record', () => step(1)],
    ['ArrowUp', 'Previous record', () => step(-1)],
    ['e', 'Edit the record', () => withRow(byId, edit)],
    ['x', 'Select the record', () => withRow(byId, pick)],
    ['t', 'Set the TTL of the selection', () => chosen().length && setOpen({ ttl: chosen() })],
    ['Delete', 'Delete the record or the selection', remove],
    ['u', 'Take the edit of the record back', () => withRow(byId, (/** @type {Row} */ row) => takeBack([row]))],
    ['Ctrl+Enter', 'Review and apply', () => changes && setOpen({ review: true })],
  ]);
  const find = (/** @type {string} */ text) => {
    setTyped(text);
    amend({ q: text, page: '' });
  };
  const total = list.data?.totalItems ?? 0;
  if (info.error instanceof ApiError && info.error.status === 404) {
    return html`<${Head} title=${toUnicode(zone)} back=${BACK} /><div class="panel"><${Empty} icon="search" title="There is no such zone"
      actions=${html`<${Button} href=${href('/history', { zone })}>Look into its history</${Button}>`}>It may have been removed. Its history can bring it back.</${Empty}></div>`;
  }
  return html`<${Head} title=${toUnicode(zone)} back=${BACK} aside=${html`<${About} info=${info.data} zone=${zone} />`}>
      <${Button} kind="ghost" icon="history" href=${href('/history', { zone })}>History</${Button}>
      <${Button} kind="ghost" icon="download" onClick=${() => save(zone)}>Export</${Button}>
      <${Button} kind="ghost" icon="upload" onClick=${() => setOpen({ file: true })}>Import</${Button}>
      <${Button} kind="ghost" icon="trash" onClick=${() => setOpen({ removal: true })}>Delete</${Button}>
      <${Button} kind="primary" icon="plus" onClick=${() => setOpen({ form: null })}>New record</${Button}>
    </${Head}>
    ${info.data && info.data.state !== 'served' && html`<${Notice} kind="bad">The records of this zone are damaged, so it is not answered. Restore it from its history or a back-up, replace it with a zone file, or delete it.</${Notice}>`}
    ${applied && html`<${Applied} ...${applied} onClose=${() => setApplied(null)} />`}
    ${(list.error || info.error) && html`<${Failure} error=${list.error ?? info.error} onRetry=${reload} />`}
    <div class="toolbar records-bar">
      ${selected.size
        ? html`<span class="picked">${count(selected.size)} selected</span>
          <${Button} icon="trash" kind="danger" onClick=${remove}>Delete</${Button}>
          <${Button} onClick=${() => setOpen({ ttl: chosen() })}>Set TTL</${Button}>
          <${Button} kind="ghost" onClick=${() => setSelected(new Set())}>Clear</${Button}>`
        : html`<${Search} label="Filter by name or data" value=${typed} onValue=${find} />
          <select aria-label="Type" value=${query.type ?? ''} onInput=${(/** @type {any} */ event) => amend({ type: event.target.value, page: '' })}>
            <option value="">All types</option>${Object.keys(TYPES).map((type) => html`<option key=${type} value=${type}>${type}</option>`)}</select>
          <span class="dim found">${list.data && (isFiltered || list.data.totalPages > 1) ? `${count(total)} RRsets` : ''}</span>`}
    </div>
    <${RecordTable} zone=${zone} table=${table} rrsets=${rrsets} draft=${draft} selected=${selected} isLoading=${list.isLoading} isFirst=${!list.data && !list.error}
      onPick=${pick} onPickAll=${(/** @type {boolean} */ all) => setSelected(all ? new Set(rows.filter(({ state }) => state !== 'gone').map(idOf)) : new Set())}
      onEdit=${edit} onRemove=${(/** @type {Row} */ row) => editAll([row], (now, [content]) => now && { ...now, contents: now.contents.filter((/** @type {string} */ one) => one !== content) })}
      onTakeBack=${(/** @type {Row} */ row) => takeBack([row])}
      none=${isFiltered && html`<${Empty} title="No record fits the filter" actions=${html`<${Button} onClick=${() => {
        setTyped('');
        amend({ q: '', type: '', page: '' });
      }}>Clear the filter</${Button}>`} />`} />
    ${list.data && list.data.totalItems <= 2 && !isFiltered && !changes && html`<p class="dim hint">The zone is new. Give it records: addresses of hosts (A, AAAA), mail servers (MX), texts. Press <kbd>n</kbd> or use “New record”; <kbd>?</kbd> shows all keys.</p>`}
    ${list.data && list.data.totalPages > 1 && html`<${Pager} page=${page} pages=${list.data.totalPages} total=${total} perPage=${PER_PAGE} what="RRsets" onPage=${(/** @type {number} */ to) => {
      amend({ page: to });
      setSelected(new Set());
      scrollTo(0, 0);
    }} />`}
    ${changes > 0 && html`<div class="staged-bar" role="region" aria-label="Staged edits"><span><strong>${count(changes)}</strong> ${changes === 1 ? 'edit' : 'edits'} staged</span><span class="dim wide-only">Nothing is served of it yet.</span>
      <div class="actions"><${Button} kind="ghost" icon="undo" onClick=${() => {
        setDraft(empty());
        toast(`${count(changes)} staged ${changes === 1 ? 'edit is' : 'edits are'} discarded.`);
      }}>Discard</${Button}><${Button} kind="primary" onClick=${() => setOpen({ review: true })}>Review and apply</${Button}></div></div>`}
    ${open?.form !== undefined && html`<${RecordForm} zone=${zone} row=${open.form} draft=${draft} serial=${serial} rrsets=${rrsets} onClose=${() => setOpen(null)} onStage=${(/** @type {any} */ next) => {
      setDraft(next);
      setOpen(null);
    }} />`}
    ${open?.ttl && html`<${Ttl} rows=${open.ttl} onClose=${() => setOpen(null)} onSet=${(/** @type {number | null} */ ttl) => {
      editAll(open.ttl, (now) => now && { ...now, ttl });
      setOpen(null);
    }} />`}
    ${open?.review && html`<${Review} zone=${zone} draft=${draft} onDraft=${setDraft} onClose=${() => setOpen(null)} onApplied=${(/** @type {any} */ report, /** @type {any} */ edit) => {
      setDraft(empty());
      setOpen(null);
      setApplied({ report, edit });
      scrollTo(0, 0);
      reload();
    }} />`}
    ${open?.file && html`<${ImportZone} zone=${zone} serial=${info.data?.serial ?? null} onClose=${() => setOpen(null)} onImported=${(/** @type {any} */ report) => {
      setOpen(null);
      toast(`Serial ${report.serial} is served: ${report.added} records in, ${report.removed} out.`);
      reload();
    }} />`}
    ${open?.removal && html`<${DeleteZone} zone=${zone} info=${info.data} onClose=${() => setOpen(null)} />`}`;
}

/** What is known of the zone. @param {{ info: any, zone: string }} props */
function About({ info, zone }) {
  if (!info) return html`<span> </span>`;
  const ascii = toUnicode(zone) === zone ? null : html`<span class="mono">${zone}</span>`;
  return html`${ascii}<span>${count(info.records)} records</span><span>Serial <span class="mono">${info.serial ?? '–'}</span></span>
    <span>Changed <${When} at=${info.updated} />${info.who ? ` by ${info.who}` : ''}</span>${info.state !== 'served' && html`<${Badge} kind="bad">${info.state}</${Badge}>`}`;
}

/** What has just been applied, and how to ask for it. @param {{ report: any, edit: any, onClose: () => void }} props */
function Applied({ report, edit, onClose }) {
  const { data: status } = useLoad((signal) => get('/api/zonda/status', { query: { fields: 'listeners' }, signal }), []);
  const dig = useMemo(() => status && edit && digCommand(status.listeners.map((/** @type {any} */ { address }) => address), location.hostname, edit), [status, edit]);
  return html`<div class="applied" role="status"><div class="said-first"><strong>Serial ${report.serial} is served.</strong><span class="wide-only">${dig ? 'Ask the server for it:' : ''}</span><${IconButton} icon="x" label="Dismiss" onClick=${onClose} /></div>
    ${dig && html`<div class="try"><${Copy} text=${dig} /><${Button} icon="ask" href=${href('/ask', { name: edit.name, type: edit.type })}>Ask here</${Button}></div>`}</div>`;
}

/** A page of RRsets, with the serial that it is of. @param {string} zone @param {Record<string, any>} query @param {AbortSignal} signal */
async function loadPage(zone, query, signal) {
  const answer = await send('GET', zonePath(zone, 'rrsets'), { query, signal });
  return { ...(await answer.json()), serial: Number(answer.headers.get('ETag')?.replace(/\D/g, '')) };
}

/** The row that has the focus. @param {Map<string, Row>} byId */
const focused = (byId) => byId.get(document.activeElement?.closest('tr[data-row]')?.getAttribute('data-row') ?? '');

/** @param {Map<string, Row>} byId @param {(row: Row) => void} act */
function withRow(byId, act) {
  const row = focused(byId);
  if (row) act(row);
}

/** Moves the focus to the next row or the one before. @param {number} by */
function step(by) {
  const all = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('tr[data-row]')]);
  const at = all.indexOf(/** @type {any} */ (document.activeElement?.closest('tr[data-row]')));
  const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
  next?.focus();
}

/** @param {string} zone */
const save = (zone) =>
  download(zonePath(zone, 'zonefile'), `${zone.replace(/\.$/, '') || 'root'}.zone`).then(
    () => toast('The zone file is being downloaded.'),
    (why) => toast(why.message, 'bad'),
  );

const BACK = { href: href('/zones'), text: 'Zones' };

/** RRsets on a page. */
const PER_PAGE = 100;

/** No RRsets; always the same, so that nothing is drawn anew. @type {any[]} */
const NONE = [];
