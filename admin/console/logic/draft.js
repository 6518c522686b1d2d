// @ts-check
/**
 * Staged edits of one zone: what its RRsets were, what they are to be, and what somebody else made of them meanwhile.
 */
import { canonical } from './names.js';

/**
 * The records of one owner and type, as far as edits go.
 * @typedef {{ ttl: number | null, contents: string[] }} Value
 *
 * An edit of one RRset; null is one that is not there. `zone` is given if it is another than the draft's.
 * @typedef {{ zone?: string, name: string, type: string, before: Value | null, after: Value | null }} Edit
 *
 * The serial is the one that the first edit was made on.
 * @typedef {{ serial: number | null, edits: Record<string, Edit> }} Draft
 *
 * An RRset as the server tells it.
 * @typedef {{ name: string, type: string, ttl: number | null, records: { content: string }[] }} Rrset
 */

/** A draft without edits. @returns {Draft} */
export const empty = () => ({ serial: null, edits: {} });

/** How many RRsets are edited. @param {Draft} draft */
export const size = (draft) => Object.keys(draft.edits).length;

/** What tells an RRset from others. @param {{ name: string, type: string }} rrset */
export const keyOf = ({ name, type }) => `${canonical(name)} ${type.toUpperCase()}`;

/** @param {Rrset | null | undefined} rrset @returns {Value | null} */
export const valueOf = (rrset) => (rrset ? { ttl: rrset.ttl, contents: rrset.records.map(({ content }) => content) } : null);

/** Whether two values are the same, the order of records aside. @param {Value | null} a @param {Value | null} b */
export function isSame(a, b) {
  if (!a || !b) return a === b;
  return a.ttl === b.ttl && JSON.stringify([...a.contents].sort()) === JSON.stringify([...b.contents].sort());
}

/**
 * Stages what an RRset is to be; what is as before is no edit. Without records it is to be gone.
 * @param {Draft} draft @param {number | null} serial @param {{ zone?: string, name: string, type: string }} place
 * @param {Value | null} before @param {Value | null} after @returns {Draft}
 */
export function stage(draft, serial, place, before, after) {
  const key = keyOf(place);
  const first = draft.edits[key]?.before;
  const old = first === undefined ? before : first;
  const wanted = after && after.contents.length > 0 ? { ttl: after.ttl, contents: [...new Set(after.contents)] } : null;
  const edits = { ...draft.edits };
  if (isSame(old, wanted)) delete edits[key];
  else edits[key] = { ...place, name: canonical(place.name), type: place.type.toUpperCase(), before: old, after: wanted };
  return Object.keys(edits).length ? { serial: draft.serial ?? serial, edits } : empty();
}

/** Takes an edit back. @param {Draft} draft @param {string} key @returns {Draft} */
export function unstage(draft, key) {
  const { [key]: _, ...edits } = draft.edits;
  return Object.keys(edits).length ? { ...draft, edits } : empty();
}

/**
 * A record in the table.
 * @typedef {{ key: string, name: string, type: string, ttl: number | null, content: string, state: 'same' | 'new' | 'gone' | 'changed' }} Row
 */

/** The records of an RRset with what an edit makes of them. @param {{ name: string, type: string }} place @param {Value | null} before @param {Edit | undefined} edit @returns {Row[]} */
export function rowsOf(place, before, edit) {
  const base = { key: keyOf(place), name: place.name, type: place.type };
  const after = edit ? edit.after : before;
  const old = before?.contents ?? [];
  const kept = old.map((content) => {
    const stays = after?.contents.includes(content);
    const state = !stays ? 'gone' : after?.ttl !== before?.ttl ? 'changed' : 'same';
    return { ...base, content, ttl: (stays ? after?.ttl : before?.ttl) ?? null, state: /** @type {Row['state']} */ (state) };
  });
  const fresh = (after?.contents ?? []).filter((content) => !old.includes(content));
  return [...kept, ...fresh.map((content) => ({ ...base, content, ttl: after?.ttl ?? null, state: /** @type {Row['state']} */ ('new') }))];
}

/**
 * The table: what the server has on this page with the edits in their places, and before it the edits of RRsets that the
 * page does not show.
 * @param {Rrset[]} given @param {Draft} draft @returns {{ staged: Row[], rows: Row[] }}
 */
export function tableOf(given, draft) {
  // SOA and NS lead those of their name, which the server has in the order of type numbers.
  const lead = (/** @type {Rrset} */ { type }) => (type === 'SOA' ? 0 : type === 'NS' ? 1 : 2);
  const names = [...new Set(given.map(({ name }) => name))];
  const at = new Map(names.map((name, place) => [name, place]));
  const rrsets = [...given].sort((a, b) => (at.get(a.name) ?? 0) - (at.get(b.name) ?? 0) || lead(a) - lead(b));
  const shown = new Set(rrsets.map(keyOf));
  const others = Object.entries(draft.edits).filter(([key]) => !shown.has(key));
  return {
    staged: others.flatMap(([, edit]) => rowsOf(edit, edit.before, edit)),
    rows: rrsets.flatMap((rrset) => rowsOf(rrset, valueOf(rrset), draft.edits[keyOf(rrset)])),
  };
}

/** The lines of a diff. @param {Value | null} before @param {Value | null} after @returns {{ sign: '-' | '+' | ' ', ttl: number | null, content: string }[]} */
export function diff(before, after) {
  const [old, next] = [before?.contents ?? [], after?.contents ?? []];
  const isTtl = before && after && before.ttl !== after.ttl;
  /** @type {(sign: '-' | '+' | ' ', value: Value | null) => (content: string) => any} */
  const line = (sign, value) => (content) => ({ sign, ttl: value?.ttl ?? null, content });
  if (isTtl) return [...old.map(line('-', before)), ...next.map(line('+', after))];
  return [
    ...old.filter((content) => next.includes(content)).map(line(' ', before)),
    ...old.filter((content) => !next.includes(content)).map(line('-', before)),
    ...next.filter((content) => !old.includes(content)).map(line('+', after)),
  ];
}

/** The body of the request that makes all edits at once; what goes comes first, so that it does not stand in the way. @param {Draft} draft */
export function toChanges(draft) {
  const edits = Object.values(draft.edits);
  const ordered = [...edits.filter((edit) => !edit.after), ...edits.filter((edit) => edit.after)];
  return ordered.map(({ zone, name, type, after }) => ({
    op: after ? 'replace' : 'delete',
    ...(zone ? { zone } : {}),
    name,
    type,
    ...(after ? { ...(after.ttl === null ? {} : { ttl: after.ttl }), records: after.contents.map((content) => ({ content })) } : {}),
  }));
}

/** The keys of the edits in the order of [`toChanges`]. @param {Draft} draft */
export const orderOf = (draft) => toChanges(draft).map(keyOf);

/**
 * The edits whose RRset somebody else has changed: what it was, what it is, and what it was to be.
 * @param {Draft} draft @param {Map<string, Value | null>} served what the server has now, by key
 */
export const conflicts = (draft, served) =>
  Object.entries(draft.edits)
    .map(([key, edit]) => ({ key, edit, theirs: served.get(key) ?? null }))
    .filter(({ edit, theirs }) => !isSame(edit.before, theirs) && !isSame(edit.after, theirs));

/**
 * The draft on top of what the server has now. Of conflicts those in `mine` are kept; the others are given up.
 * @param {Draft} draft @param {number} serial @param {Map<string, Value | null>} served @param {Set<string>} mine @returns {Draft}
 */
export function rebase(draft, serial, served, mine) {
  const lost = new Set(conflicts(draft, served).map(({ key }) => key).filter((key) => !mine.has(key)));
  let next = empty();
  for (const [key, edit] of Object.entries(draft.edits)) {
    if (!lost.has(key)) next = stage(next, serial, { zone: edit.zone, name: edit.name, type: edit.type }, served.get(key) ?? null, edit.after);
  }
  return next;
}

/**
 * Where the server's words about `changes[2].records[0].content` belong: the key of the edit and the words.
 * @param {Draft} draft @param {Record<string, any>} fields @returns {{ key: string | null, message: string }[]}
 */
export function faultsOf(draft, fields) {
  const order = orderOf(draft);
  return Object.entries(fields).map(([name, { message }]) => {
    const at = /^changes\[(\d+)\]/.exec(name);
    return { key: (at && order[Number(at[1])]) ?? null, message: String(message) };
  });
}
