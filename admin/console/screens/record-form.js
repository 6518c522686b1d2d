// @ts-check
/**
 * The form of a record: fields by its type, checked while one types; the server has the last word before it is staged.
 */
import { html, useEffect, useMemo, useState } from '../vendor/preact.js';
import { ApiError, call, get, zonePath } from '../lib/api.js';
import { useSettled } from '../lib/hooks.js';
import { Button, Check, Dialog, Field, Notice } from '../lib/kit.js';
import { faultsOf, keyOf, stage, toChanges, valueOf } from '../logic/draft.js';
import { absolute, faultOfName, relative, reverseName, toAscii, toUnicode, zoneOf } from '../logic/names.js';
import { chunks, octetsOf } from '../logic/text.js';
import { TYPES, blank, doubts, faultOfTtl, faults, fieldOfMessage, fieldsOf, isType, print, read, seconds } from '../logic/types.js';

/** @typedef {import('../logic/draft.js').Draft} Draft */
/** @typedef {import('../logic/draft.js').Row} Row */
/** @typedef {import('../logic/draft.js').Value} Value */

/**
 * `row` is the record to edit, or null for a new one.
 * @param {{ zone: string, row: Row | null, draft: Draft, serial: number | null, rrsets: any[], onClose: () => void, onStage: (draft: Draft) => void }} props
 */
export function RecordForm({ zone, row, draft, serial, rrsets, onClose, onStage }) {
  const start = row && read(row.type, row.content);
  const [name, setName] = useState(row ? toUnicode(relative(row.name, zone)) : '');
  const [choice, setChoice] = useState(row ? (TYPES[row.type] && start ? row.type : OTHER) : 'A');
  const [other, setOther] = useState(row?.type ?? '');
  const isOther = choice === OTHER;
  const type = isOther ? other.trim().toUpperCase() : choice;
  const [values, setValues] = useState(/** @type {Record<string, string>} */ (row ? (start ?? { data: row.content }) : blank('A')));
  const [ttl, setTtl] = useState(row?.ttl === null || row?.ttl === undefined ? '' : String(row.ttl));
  const [touched, setTouched] = useState(/** @type {Set<string>} */ (new Set()));
  const [said, setSaid] = useState(/** @type {Record<string, string>} */ ({}));
  const [isBusy, setIsBusy] = useState(false);
  const form = isOther ? 'OTHER' : type;
  const owner = absolute(name, zone);
  const local = useMemo(() => {
    const nameFault = name.trim() === '' ? '' : faultOfName(name);
    return { ...faults(form, values), ...(nameFault && { name: nameFault }), ...(faultOfTtl(ttl) && { ttl: faultOfTtl(ttl) }), ...(isOther && !isType(type) && { type: 'Like URI, or TYPE65280.' }) };
  }, [name, form, JSON.stringify(values), ttl, type]);
  const doubt = doubts(form, values, zone);
  const change = (/** @type {string} */ field, /** @type {(text: string) => void} */ set) => (/** @type {string} */ text) => {
    set(text);
    setTouched(new Set([...touched, field]));
    setSaid({});
  };
  const errorOf = (/** @type {string} */ field) => said[field] ?? (touched.has(field) ? /** @type {any} */ (local)[field] : undefined);
  const reverse = useReverse(type, values.address ?? '', owner);
  // Who is quicker than the look-up gets the PTR record all the same, but none that would replace another unseen.
  const ptrOf = async () => {
    const found = reverse ?? (await findReverse(reverseOf(type, values.address ?? ''), owner).catch(() => null));
    return reverse || !found?.before ? found : null;
  };
  const [wantsPtr, setWantsPtr] = useState(true);
  const submit = async () => {
    setTouched(new Set(['name', 'ttl', 'type', ...fieldsOf(form).map((field) => field.name)]));
    if (Object.keys(local).length || isBusy) return;
    setIsBusy(true);
    try {
      const content = isOther ? values.data.trim() : print(type, values, zone);
      const next = await stageRecord({ zone, row, draft, serial, rrsets, name: owner, type, content, ttl: ttl.trim() === '' ? null : seconds(ttl), ptr: wantsPtr ? await ptrOf() : null });
      const found = await serversWords(zone, next, keyOf({ name: owner, type }), type);
      if (found) setSaid(found);
      else return onStage(next);
    } catch (why) {
      setSaid({ form: /** @type {any} */ (why).message });
    }
    return setIsBusy(false);
  };
  const first = row ? {} : { autofocus: true };
  return html`<${Dialog} title=${row ? 'Edit record' : 'New record'} onClose=${onClose} onSubmit=${submit} actions=${html`
      <span class="start dim">It is staged first; nothing is served yet.</span>
      <${Button} onClick=${onClose}>Cancel</${Button}><${Button} kind="primary" type="submit" busy=${isBusy}>${row ? 'Stage the edit' : 'Stage the record'}</${Button}>`}>
    <div class="record-top">
      <${Field} label="Name" mono ...${first} value=${name} suffix=${zone === '.' ? '.' : `.${toUnicode(zone)}`} placeholder="@" onValue=${change('name', setName)} error=${errorOf('name')}
        hint=${/[^\x00-\x7f]/.test(name) ? `In DNS: ${toAscii(name)}` : name.trim() === '' || name.trim() === '@' ? '@ is the zone itself.' : /\.$/.test(name.trim()) ? owner : ''} />
      <${Field} label="Type" control="select" value=${choice} onValue=${(/** @type {string} */ next) => {
        setChoice(next);
        setValues(next === OTHER ? { data: '' } : { ...blank(next), ...shared(values, next) });
        setTouched(new Set());
        setSaid({});
      }} hint=${TYPES[choice]?.about ?? ''}>${Object.keys(TYPES).filter((one) => one !== 'SOA' || choice === 'SOA').map((one) => html`<option key=${one} value=${one}>${one}</option>`)}<option value=${OTHER}>Other …</option></${Field}>
    </div>
    ${isOther && html`<${Field} label="Name of the type" mono value=${other} onValue=${change('type', setOther)} error=${errorOf('type')} hint="Like URI, LOC, or TYPE65280." />`}
    <div class="fields">${fieldsOf(form).map((field) => html`<${DataField} key=${`${form} ${field.name}`} field=${field} value=${values[field.name] ?? ''} autofocus=${row && field === fieldsOf(form)[0]}
      onValue=${change(field.name, (text) => setValues((/** @type {any} */ old) => ({ ...old, [field.name]: text })))} error=${errorOf(field.name)} warning=${doubt[field.name]} />`)}
      <${Field} label="TTL" mono value=${ttl} placeholder=${row ? 'default' : 'auto'} title="All records of one name and type share it." onValue=${change('ttl', setTtl)} error=${errorOf('ttl')} hint="300, 5m, 1h" /></div>
    ${reverse && html`<${Check} checked=${wantsPtr} onValue=${setWantsPtr} label=${html`Make the PTR record along: <code>${reverse.name}</code>${reverse.before && ` (instead of ${reverse.before.contents.join(', ')})`}`} />`}
    ${said.form && html`<${Notice} kind="bad">${said.form}</${Notice}>`}
  </${Dialog}>`;
}

/** A field of the data. @param {{ field: import('../logic/types.js').FieldRow, value: string, onValue: (text: string) => void, error?: string, warning?: string, autofocus?: any }} props */
function DataField({ field: { label, kind, hint, options, width = '' }, value, onValue, error, warning, autofocus }) {
  const more = autofocus ? { autofocus: true } : {};
  const shared = { label, value, onValue, error, warning, hint, ...more };
  if (options) {
    const known = options.some(([one]) => one === value) ? options : [...options, [value, value]];
    return html`<${Field} ...${shared} control="select">${known.map(([one, text]) => html`<option key=${one} value=${one}>${text}</option>`)}</${Field}>`;
  }
  if (kind === 'text') {
    const octets = octetsOf(value);
    const strings = chunks(octets).length;
    return html`<${Field} ...${shared} class=${width} control="textarea" mono rows="4" hint=${`${octets.length} octets${strings > 1 ? ` in ${strings} strings of at most 255` : ' in one string'}; quotes are put around it.`} />`;
  }
  return html`<${Field} ...${shared} mono class=${width} />`;
}

/** What the form of another type can take over. @param {Record<string, string>} values @param {string} type */
const shared = (values, type) => Object.fromEntries(fieldsOf(type).flatMap(({ name, value, options }) => (values[name] && value === undefined && !options ? [[name, values[name]]] : [])));

/** The draft with a record set, or put in the place of `row`. @param {any} what @returns {Promise<Draft>} */
async function stageRecord({ zone, row, draft, serial, rrsets, name, type, content, ttl, ptr }) {
  /** @type {Draft} */
  let next = draft;
  if (row) {
    const { now } = await valueNow(zone, next, rrsets, row);
    if (!now?.contents.includes(row.content)) throw new Error('Somebody else has changed this record meanwhile. Close this form and look again.');
  }
  const elsewhere = row && draft.edits[row.key]?.zone;
  const place = { ...(elsewhere && { zone: elsewhere }), name, type };
  if (row && row.key !== keyOf(place)) next = await without(zone, next, serial, rrsets, row);
  const { before, now } = await valueNow(zone, next, rrsets, place);
  const others = (now?.contents ?? []).filter((/** @type {string} */ one) => !(row && row.key === keyOf(place) && one === row.content));
  const at = row && row.key === keyOf(place) ? (now?.contents ?? []).indexOf(row.content) : -1;
  const contents = at < 0 ? [...others, content] : (now?.contents ?? []).map((/** @type {string} */ one, /** @type {number} */ where) => (where === at ? content : one));
  // A new record joins the TTL of those that are there, unless it brings one.
  const shared = row || ttl !== null ? ttl : (now?.ttl ?? null);
  next = stage(next, serial, place, before, { ttl: shared, contents });
  if (ptr) next = stage(next, serial, { zone: ptr.zone, name: ptr.name, type: 'PTR' }, ptr.before, { ttl, contents: [name] });
  return next;
}

/** The draft without a record. @param {string} zone @param {Draft} draft @param {number | null} serial @param {any[]} rrsets @param {Row} row */
async function without(zone, draft, serial, rrsets, row) {
  const { before, now } = await valueNow(zone, draft, rrsets, row);
  return stage(draft, serial, { name: row.name, type: row.type }, before, now && { ...now, contents: now.contents.filter((one) => one !== row.content) });
}

/** What an RRset is on the server, and with the edits. @param {string} zone @param {Draft} draft @param {any[]} rrsets @param {{ name: string, type: string }} place */
async function valueNow(zone, draft, rrsets, place) {
  const edit = draft.edits[keyOf(place)];
  if (edit) return { before: edit.before, now: edit.after };
  const shown = rrsets.find((rrset) => keyOf(rrset) === keyOf(place));
  const before = shown ? valueOf(shown) : await served(zone, place);
  return { before, now: before };
}

/** What the server has, perhaps nothing. @param {string} zone @param {{ name: string, type: string }} place @returns {Promise<Value | null>} */
export async function served(zone, { name, type }) {
  try {
    return valueOf(await get(zonePath(zone, 'rrsets', name, type)));
  } catch (why) {
    if (why instanceof ApiError && (why.status === 404 || why.status === 400)) return null;
    throw why;
  }
}

/** What the server would say to all edits, by field of this form; null if nothing. @param {string} zone @param {Draft} draft @param {string} key @param {string} type */
async function serversWords(zone, draft, key, type) {
  const changes = toChanges(draft);
  if (!changes.length) return null;
  try {
    await call('PATCH', zonePath(zone, 'rrsets'), { query: { dry_run: true, fields: 'serial' }, body: { changes } });
    return null;
  } catch (why) {
    if (!(why instanceof ApiError) || why.status !== 400) throw why;
    const mine = Object.entries(why.fields).find((_, at) => faultsOf(draft, why.fields)[at].key === key);
    if (!mine) return { form: faultsOf(draft, why.fields).map((fault) => (fault.key ? `${fault.key}: ` : '') + fault.message).join(' ') || why.message };
    const [place, { message }] = mine;
    const part = /^changes\[\d+\]\.(name|type|ttl)/.exec(place)?.[1];
    return { [part ?? (TYPES[type] ? fieldOfMessage(type, message) : 'data')]: message };
  }
}

/** @typedef {{ zone: string, name: string, owner: string, before: Value | null }} Reverse */

/** The name of the PTR record of an address; null if it is none. @param {string} type @param {string} address */
const reverseOf = (type, address) => (type === 'A' || type === 'AAAA' ? reverseName(address.trim()) : null);

/** The PTR record that could be made at a name, if its zone is served here and it is not there yet. @param {string | null} name @param {string} owner @returns {Promise<Reverse | null>} */
async function findReverse(name, owner) {
  if (!name) return null;
  // The shortest reverse zones that there are: /8 of IPv4, /12 of IPv6.
  const search = name.split('.').slice(name.endsWith('in-addr.arpa.') ? -4 : -6).join('.');
  const { zones } = await get('/api/zonda/zones', { query: { search, perPage: 1000, fields: 'zones.zone' } });
  const zone = zoneOf(name, zones.map((/** @type {any} */ one) => one.zone));
  if (!zone) return null;
  const before = await served(zone, { name, type: 'PTR' });
  const isThere = before?.contents.some((content) => content.toLowerCase() === owner);
  return isThere ? null : { zone, name, owner, before };
}

/** The PTR record that could be made along with an address, when it has been looked up. @param {string} type @param {string} address @param {string} owner */
function useReverse(type, address, owner) {
  const [found, setFound] = useState(/** @type {Reverse | null} */ (null));
  const name = reverseOf(type, address);
  const settled = useSettled(name, 250);
  useEffect(() => {
    setFound(null);
    let isOn = true;
    // Without it the record is made alone.
    findReverse(settled, owner).then((reverse) => isOn && setFound(reverse), () => {});
    return () => {
      isOn = false;
    };
  }, [settled, owner]);
  // What was found for an address on the way to this one is not for this one.
  return found && found.name === name && found.owner === owner ? found : null;
}

/** Stands for types without a form. */
const OTHER = 'other';
