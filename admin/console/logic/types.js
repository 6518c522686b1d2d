// @ts-check
/**
 * The table of record types: of which fields their data consists, and what can be said of each while it is typed.
 * A type that has no row is written as a zone file has it; the server knows them all, and has the last word.
 */
import { absolute, faultOfName, ipv6Groups, isIpv4, toAscii, toUnicode } from './names.js';
import { CHUNK_MAX, chunks, octetsOf, quoted, readable, words } from './text.js';

/**
 * @typedef {object} Kind what a field holds
 * @property {(text: string) => string} check what is wrong with it, or nothing
 * @property {(text: string, zone: string) => string} [warn] what is hardly meant
 * @property {(text: string) => string} [print] as it is sent
 * @property {(word: string) => string} [read] as it is shown
 * @property {boolean} [isName]
 * @property {boolean} [isLong] takes all that is left of the line
 */

/** @param {number} max @returns {Kind} */
const number = (max) => ({ check: (text) => (/^\d+$/.test(text) && Number(text) <= max ? '' : `A number from 0 to ${max} is needed.`) });

/** @type {Record<string, Kind>} */
const KINDS = {
  ipv4: { check: (text) => (isIpv4(text) ? '' : text.includes(':') ? 'This looks like an IPv6 address; choose the type AAAA.' : 'An IPv4 address like 192.0.2.1 is needed.') },
  ipv6: { check: (text) => (ipv6Groups(text) ? '' : isIpv4(text) ? 'This is an IPv4 address; choose the type A.' : 'An IPv6 address like 2001:db8::1 is needed.') },
  name: {
    isName: true,
    check: (text) => (isIpv4(text) || ipv6Groups(text) ? 'A name is needed here, not an address.' : faultOfName(text, { isWildcard: false })),
    warn: (text, zone) => (/\.[a-z]{2,}$/i.test(toAscii(text)) ? `Without a final dot this is ${absolute(text, zone)}` : ''),
    read: toUnicode,
  },
  u8: number(255),
  u16: number(65_535),
  hex: {
    isLong: true,
    check: (text) => (!/^[0-9a-f\s]+$/i.test(text) ? 'Hexadecimal digits are needed.' : text.replace(/\s/g, '').length % 2 ? 'A digit is missing: two make an octet.' : ''),
    print: (text) => text.replace(/\s/g, ''),
  },
  // Quotes are put around it, and taken away again.
  string: { check: (text) => (octetsOf(text).length > 255 ? 'At most 255 octets.' : ''), print: (text) => quoted(octetsOf(text)), read: (word) => readable(octetsOf(word)) },
  text: { check: (text) => (octetsOf(text).length > 60_000 ? 'This does not fit into one record.' : ''), isLong: true },
  // A parameter of its own of SVCB; `check` is that of the whole.
  param: { check: () => '' },
  params: { check: faultOfParams, isLong: true, print: (text) => text.trim() },
  rest: { check: (text) => (text.trim() === '' ? 'The data is needed.' : words(text) === null ? 'A quote is open.' : ''), isLong: true, print: (text) => text.trim() },
};

/**
 * @typedef {object} FieldRow
 * @property {string} name
 * @property {string} label
 * @property {string} kind a row of KINDS
 * @property {string} [hint]
 * @property {string} [value] what it begins with
 * @property {[string, string][]} [options] what can be chosen
 * @property {'half' | 'most' | 'whole'} [width] how much of a row it takes; a third if not given
 */

/** Kinds that take a whole row unless their field says otherwise. */
const WHOLE = ['name', 'ipv4', 'ipv6', 'hex', 'rest', 'params', 'text'];

/** @param {string} name @param {string} label @param {string} kind @param {Partial<FieldRow>} [more] @returns {FieldRow} */
const field = (name, label, kind, more = {}) => ({ name, label, kind, ...(WHOLE.includes(kind) && !more.options ? { width: 'whole' } : {}), ...more });

/** @param {[number, string][]} known @returns {[string, string][]} */
const numbered = (known) => known.map(([value, text]) => [String(value), `${value} · ${text}`]);

const ALGORITHMS = numbered([[5, 'RSASHA1'], [7, 'RSASHA1-NSEC3'], [8, 'RSASHA256'], [10, 'RSASHA512'], [13, 'ECDSA P-256'], [14, 'ECDSA P-384'], [15, 'Ed25519'], [16, 'Ed448']]);
/** Leaves room for the TTL beside it. @type {Partial<FieldRow>} */
const MOST = { width: 'most' };

/** What is said below a target. */
const TARGET = 'With a final dot in full, else below the zone.';
const SVCB = [
  field('priority', 'Priority', 'u16', { value: '1', hint: '0 makes it an alias.' }),
  field('target', 'Target', 'name', { width: 'most', value: '.', hint: '. stands for the owner itself.' }),
  field('alpn', 'Protocols (alpn)', 'param', { width: 'half', hint: 'Like h2,h3' }),
  field('port', 'Port', 'param', { width: 'half', hint: 'If it is not the usual one.' }),
  field('ipv4hint', 'IPv4 hints', 'param', { width: 'half', hint: 'Like 192.0.2.1,192.0.2.2' }),
  field('ipv6hint', 'IPv6 hints', 'param', { width: 'half', hint: 'Like 2001:db8::1' }),
  field('params', 'Other parameters', 'params', { hint: 'Like no-default-alpn ech=AEX+…' }),
];

/**
 * What a type is for, and its fields.
 * @type {Record<string, { about: string, fields: FieldRow[] }>}
 */
export const TYPES = {
  A: { about: 'IPv4 address', fields: [field('address', 'IPv4 address', 'ipv4', MOST)] },
  AAAA: { about: 'IPv6 address', fields: [field('address', 'IPv6 address', 'ipv6', MOST)] },
  CNAME: { about: 'alias', fields: [field('target', 'Target', 'name', { ...MOST, hint: TARGET })] },
  MX: { about: 'mail server', fields: [field('preference', 'Preference', 'u16', { value: '10', hint: 'Lowest first.' }), field('exchange', 'Mail server', 'name', { width: 'most', hint: TARGET })] },
  TXT: { about: 'text', fields: [field('text', 'Text', 'text')] },
  NS: { about: 'name server', fields: [field('target', 'Name server', 'name', { ...MOST, hint: TARGET })] },
  SRV: {
    about: 'service',
    fields: [field('priority', 'Priority', 'u16', { value: '0', hint: 'Lowest first.' }), field('weight', 'Weight', 'u16', { value: '0', hint: 'Share among equals.' }), field('port', 'Port', 'u16'), field('target', 'Target', 'name', { hint: TARGET })],
  },
  CAA: {
    about: 'certificates',
    fields: [field('flags', 'Flags', 'u8', { value: '0', options: [['0', '0'], ['128', '128 · critical']] }), field('tag', 'Tag', 'rest', { value: 'issue', options: ['issue', 'issuewild', 'issuemail', 'issuevmc', 'iodef', 'contactemail', 'contactphone'].map((tag) => [tag, tag]) }), field('value', 'Value', 'string', { width: 'whole', hint: 'Like letsencrypt.org, or ; for nobody.' })],
  },
  PTR: { about: 'address to name', fields: [field('target', 'Name', 'name', { ...MOST, hint: 'In full, with a final dot.' })] },
  HTTPS: { about: 'web site', fields: SVCB },
  SVCB: { about: 'service', fields: SVCB },
  DS: {
    about: 'delegation',
    fields: [field('tag', 'Key tag', 'u16'), field('algorithm', 'Algorithm', 'u8', { value: '13', options: ALGORITHMS }), field('digestType', 'Digest type', 'u8', { value: '2', options: numbered([[1, 'SHA-1'], [2, 'SHA-256'], [4, 'SHA-384']]) }), field('digest', 'Digest', 'hex')],
  },
  TLSA: {
    about: 'DANE',
    fields: [field('usage', 'Usage', 'u8', { value: '3', options: numbered([[0, 'PKIX-TA'], [1, 'PKIX-EE'], [2, 'DANE-TA'], [3, 'DANE-EE']]) }), field('selector', 'Selector', 'u8', { value: '1', options: numbered([[0, 'certificate'], [1, 'public key']]) }), field('matching', 'Matching', 'u8', { value: '1', options: numbered([[0, 'exact'], [1, 'SHA-256'], [2, 'SHA-512']]) }), field('data', 'Data', 'hex')],
  },
  SSHFP: {
    about: 'SSH key',
    fields: [field('algorithm', 'Algorithm', 'u8', { value: '4', options: numbered([[1, 'RSA'], [2, 'DSA'], [3, 'ECDSA'], [4, 'Ed25519'], [6, 'Ed448']]) }), field('type', 'Fingerprint type', 'u8', { value: '2', options: numbered([[1, 'SHA-1'], [2, 'SHA-256']]) }), field('fingerprint', 'Fingerprint', 'hex')],
  },
  NAPTR: {
    about: 'rewriting',
    fields: [field('order', 'Order', 'u16', { value: '100' }), field('preference', 'Preference', 'u16', { value: '10' }), field('flags', 'Flags', 'string'), field('service', 'Service', 'string'), field('regexp', 'Regexp', 'string', { width: 'most' }), field('replacement', 'Replacement', 'name', { value: '.' })],
  },
  DNAME: { about: 'subtree alias', fields: [field('target', 'Target', 'name', { ...MOST, hint: TARGET })] },
  LOC: { about: 'place', fields: [field('data', 'Place', 'rest', { hint: 'Like 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m' })] },
  SOA: { about: 'start of the zone', fields: [field('data', 'Data', 'rest', { hint: 'Primary, mailbox, serial, refresh, retry, expire, minimum; the server raises the serial.' })] },
};

/** The field of a type that has no form. */
const OTHER = [field('data', 'Data', 'rest', { hint: 'As in a zone file; \\# LENGTH HEX for a type that is not known (RFC 3597).' })];

/** The fields of a type. @param {string} type */
export const fieldsOf = (type) => TYPES[type.toUpperCase()]?.fields ?? OTHER;

/** Whether a text names a type: a word, or TYPE and a number. @param {string} text */
export const isType = (text) => /^[A-Z][A-Z0-9-]*$/i.test(text);

/** The values that a new record's form begins with. @param {string} type @returns {Record<string, string>} */
export const blank = (type) => Object.fromEntries(fieldsOf(type).map(({ name, value = '' }) => [name, value]));

/** The values of a form from data, or null if the data does not have the form. @param {string} type @param {string} content @returns {Record<string, string> | null} */
export function read(type, content) {
  const rows = fieldsOf(type);
  const parts = words(content);
  if (rows.length === 1 && rows[0].kind === 'rest') return { [rows[0].name]: content };
  if (!parts) return null;
  if (rows[0].kind === 'text') {
    const strings = parts.map(octetsOf);
    // Strings that mean something each (RFC 6763 §6.1) are not to become one.
    if (strings.slice(0, -1).some((string) => string.length !== CHUNK_MAX)) return null;
    const octets = strings.flatMap((string) => [...string]);
    return { [rows[0].name]: readable(new Uint8Array(octets)) };
  }
  const last = rows[rows.length - 1];
  if (last.kind === 'params') return readParams(rows, parts, content);
  const isLong = KINDS[last.kind].isLong;
  if (isLong ? parts.length < rows.length - 1 : parts.length !== rows.length) return null;
  const values = rows.map(({ name, kind }, at) => {
    const raw = at === rows.length - 1 && isLong ? parts.slice(at).join('') : parts[at];
    return [name, KINDS[kind].read?.(raw) ?? raw];
  });
  return Object.fromEntries(values);
}

/** Data as it is sent, names in full. @param {string} type @param {Record<string, string>} values @param {string} zone */
export function print(type, values, zone) {
  const parts = fieldsOf(type).map(({ name, kind }) => {
    const text = values[name] ?? '';
    if (kind === 'param') return text.trim() && `${name}=${text.trim().replace(/\s+/g, '')}`;
    if (KINDS[kind].isName) return absolute(text, zone);
    if (kind === 'text') return chunks(octetsOf(text)).map(quoted).join(' ');
    return KINDS[kind].print?.(text) ?? text.trim();
  });
  return parts.filter((part) => part !== '').join(' ');
}

/** What is wrong, by field. @param {string} type @param {Record<string, string>} values @returns {Record<string, string>} */
export function faults(type, values) {
  const found = fieldsOf(type).map(({ name, kind }) => {
    const text = (values[name] ?? '').trim();
    return [name, kind === 'param' ? text && faultOfParams(`${name}=${text.replace(/\s+/g, '')}`) : KINDS[kind].check(text)];
  });
  return Object.fromEntries(found.filter(([, fault]) => fault));
}

/** What is hardly meant, by field. @param {string} type @param {Record<string, string>} values @param {string} zone @returns {Record<string, string>} */
export function doubts(type, values, zone) {
  const found = fieldsOf(type).map(({ name, kind }) => [name, KINDS[kind].warn?.((values[name] ?? '').trim(), zone) ?? '']);
  return Object.fromEntries(found.filter(([, doubt]) => doubt));
}

/** Data for the eye: names in Unicode, texts joined. @param {string} type @param {string} content */
export function show(type, content) {
  if (/xn--/i.test(content) && fieldsOf(type).some(({ kind }) => KINDS[kind].isName)) return content.replace(/\S*xn--\S*/gi, toUnicode);
  return content;
}

/** The form of SVCB data: parameters that have a field go there, the others into the last. @param {FieldRow[]} rows @param {string[]} parts @param {string} content */
function readParams(rows, parts, content) {
  if (parts.length < 2) return null;
  /** @type {Record<string, string>} */
  const values = { ...Object.fromEntries(rows.map(({ name }) => [name, ''])), priority: parts[0], target: toUnicode(parts[1]) };
  const rest = paramsOf(content.trim().replace(/^\S+\s+\S+/, '')).filter((part) => {
    const [key, value = ''] = part.split(/=(.*)/s);
    const hasField = rows.some(({ name, kind }) => kind === 'param' && name === key) && value !== '' && !/["\\]/.test(value);
    if (hasField) values[key] = value;
    return !hasField;
  });
  return { ...values, params: rest.join(' ') };
}

/** The parameters in a text. @param {string} text @returns {string[]} */
const paramsOf = (text) => text.match(/(?:"(?:\\.|[^"\\])*"|\\.|[^\s"\\])+/g) ?? [];

/**
 * The field that a sentence of the server is about, by the word after the type (`MX preference: …`), or the first.
 * @param {string} type @param {string} message
 */
export function fieldOfMessage(type, message) {
  const [, word = ''] = new RegExp(`^${type} ([a-z0-9 -]+):`, 'i').exec(message) ?? [];
  const plain = (/** @type {string} */ text) => text.toLowerCase().replace(/[^a-z0-9]/g, '');
  const rows = fieldsOf(type);
  return (rows.find(({ name, label }) => word && [name, label].some((text) => plain(text) === plain(word))) ?? rows[0]).name;
}

/** What is wrong with SVCB parameters (RFC 9460 §2.1). @param {string} text */
function faultOfParams(text) {
  const parts = paramsOf(text);
  if (words(text) === null) return 'A quote is open.';
  const keys = parts.map((part) => part.split('=')[0]);
  const odd = keys.find((key) => !/^[a-z0-9-]+$/.test(key));
  if (odd !== undefined) return `${odd || '='} is no key: keys have small letters, digits and hyphens.`;
  const twice = keys.find((key, at) => keys.indexOf(key) !== at);
  if (twice) return `${twice} is there twice.`;
  /** @type {Record<string, (value: string) => boolean>} */
  const rules = { port: (value) => KINDS.u16.check(value) === '', ipv4hint: (value) => value.split(',').every(isIpv4), ipv6hint: (value) => value.split(',').every((part) => ipv6Groups(part) !== null), alpn: (value) => value !== '' };
  for (const part of parts) {
    const [key, value = ''] = part.split(/=(.*)/s);
    if (rules[key] && !rules[key](value.replace(/^"(.*)"$/s, '$1'))) return `${key} has a wrong value.`;
  }
  return '';
}

/** What is wrong with a TTL; nothing is the server's default. @param {string} text */
export const faultOfTtl = (text) => (text.trim() === '' || seconds(text) !== null ? '' : 'Seconds, or like 5m, 1h, 1d.');

/** Seconds from `300`, `5m`, `1h30m`; null if it is none. @param {string} text @returns {number | null} */
export function seconds(text) {
  const value = text.trim().toLowerCase();
  if (/^\d+$/.test(value)) return Number(value) <= TTL_MAX ? Number(value) : null;
  if (!/^(\d+[smhdw])+$/.test(value)) return null;
  const sum = [...value.matchAll(/(\d+)([smhdw])/g)].reduce((all, [, many, unit]) => all + Number(many) * UNITS[unit], 0);
  return sum <= TTL_MAX ? sum : null;
}

/** @type {Record<string, number>} */
const UNITS = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** RFC 2181 §8. */
const TTL_MAX = 2_147_483_647;
