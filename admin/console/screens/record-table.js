// @ts-check
/**
 * The table of records: one row each, names told once, staged edits in their places.
 */
import { html, useRef } from '../vendor/preact.js';
import { Badge, Check, IconButton, SkeletonRows } from '../lib/kit.js';
import { href } from '../lib/router.js';
import { isSame, keyOf, valueOf } from '../logic/draft.js';
import { relative, toUnicode } from '../logic/names.js';
import { show } from '../logic/types.js';

/** @typedef {import('../logic/draft.js').Row} Row */

/** What tells a row from others. @param {Row} row */
export const idOf = (row) => `${row.key} ${row.content}`;

/**
 * @param {{ zone: string, table: { staged: Row[], rows: Row[] }, rrsets: any[], draft: any, selected: Set<string>, isLoading: boolean, isFirst: boolean,
 *   onPick: (row: Row, more?: Row[]) => void, onPickAll: (all: boolean) => void, onEdit: (row: Row) => void, onRemove: (row: Row) => void, onTakeBack: (row: Row) => void, none: any }} props
 */
export function RecordTable({ zone, table, rrsets, draft, selected, isLoading, isFirst, onPick, onPickAll, onEdit, onRemove, onTakeBack, none }) {
  const last = useRef('');
  const rows = [...table.staged, ...table.rows];
  const able = rows.filter(({ state }) => state !== 'gone');
  const elsewhere = new Set(rrsets.filter((rrset) => draft.edits[keyOf(rrset)] && !isSame(draft.edits[keyOf(rrset)].before, valueOf(rrset))).map(keyOf));
  const pick = (/** @type {Row} */ row, /** @type {boolean} */ isRange) => {
    const ids = rows.map(idOf);
    const [a, b] = [ids.indexOf(last.current), ids.indexOf(idOf(row))].sort((x, y) => x - y);
    onPick(row, isRange && a >= 0 ? rows.slice(a, b + 1).filter(({ state }) => state !== 'gone') : [row]);
    last.current = idOf(row);
  };
  let before = '';
  const line = (/** @type {Row} */ row) => {
    const isFirstOfName = row.name !== before;
    before = row.name;
    return html`<${Line} key=${`${idOf(row)}`} zone=${zone} row=${row} isFirst=${isFirstOfName} isSelected=${selected.has(idOf(row))} isElsewhere=${elsewhere.has(row.key)} onPick=${pick} onEdit=${onEdit} onRemove=${onRemove} onTakeBack=${onTakeBack} />`;
  };
  return html`<div class="panel table records ${isLoading && !isFirst ? 'stale' : ''}" aria-busy=${isLoading}><table>
    <thead><tr><th scope="col" class="tick"><${Check} label="Select all on this page" hideLabel checked=${able.length > 0 && selected.size >= able.length} mixed=${selected.size > 0 && selected.size < able.length} onValue=${onPickAll} /></th>
      <th scope="col">Name</th><th scope="col">Type</th><th scope="col" class="number ttl">TTL</th><th scope="col">Data</th><th scope="col"><span class="hidden">Actions</span></th></tr></thead>
    <tbody>${isFirst ? html`<${SkeletonRows} columns=${6} rows=${10} />` : rows.map(line)}
      ${!isFirst && rows.length === 0 && none && html`<tr><td colspan="6">${none}</td></tr>`}</tbody>
  </table></div>`;
}

/** A record. @param {{ zone: string, row: Row, isFirst: boolean, isSelected: boolean, isElsewhere: boolean, onPick: (row: Row, isRange: boolean) => void, onEdit: (row: Row) => void, onRemove: (row: Row) => void, onTakeBack: (row: Row) => void }} props */
function Line({ zone, row, isFirst, isSelected, isElsewhere, onPick, onEdit, onRemove, onTakeBack }) {
  const name = toUnicode(relative(row.name, zone));
  const isGone = row.state === 'gone';
  const isRange = useRef(false);
  return html`<tr data-row=${idOf(row)} tabindex="0" class="${row.state} ${isSelected ? 'selected' : ''} ${isFirst ? 'first' : ''}" onDblClick=${() => onEdit(row)}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === 'Enter' && !event.ctrlKey && event.target === event.currentTarget && onEdit(row)}>
    <td class="tick">${!isGone && html`<${Check} label="Select ${name} ${row.type} ${row.content}" hideLabel checked=${isSelected}
      onClick=${(/** @type {MouseEvent} */ event) => (isRange.current = event.shiftKey)} onValue=${() => onPick(row, isRange.current)} />`}</td>
    <td class="name mono" title=${row.name}>${isFirst ? name : html`<span class="hidden">${name}</span>`}</td>
    <td><span class="type">${row.type}</span></td>
    <td class="number ttl mono">${row.ttl ?? html`<span class="dim">default</span>`}</td>
    <td class="data"><div><code title=${row.content}>${show(row.type, row.content)}</code>${MARKS[row.state] && html`<${Badge} kind=${MARKS[row.state][0]}>${MARKS[row.state][1]}</${Badge}>`}
      ${isElsewhere && html`<${Badge} kind="bad" title="Somebody else has changed these records since you began.">changed elsewhere</${Badge}>`}</div></td>
    <td class="do"><div>${row.state !== 'same' && html`<${IconButton} icon="undo" label="Take the edit back" onClick=${() => onTakeBack(row)} />`}
      ${!isGone && html`<a class="icon-button" href=${href('/ask', { name: row.name, type: row.type })} aria-label="Ask for ${name} ${row.type}" title="What does the server answer?"><svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d="M3.5 4.5l3 3-3 3M8.5 11.5h4" /></svg></a>
      <${IconButton} icon="edit" label="Edit" onClick=${() => onEdit(row)} />${row.type !== 'SOA' && html`<${IconButton} icon="trash" label="Delete" onClick=${() => onRemove(row)} />`}`}</div></td>
  </tr>`;
}

/** What is said of a staged row. @type {Record<string, [string, string]>} */
const MARKS = { new: ['ok', 'new'], gone: ['bad', 'deleted'], changed: ['warn', 'TTL'] };
