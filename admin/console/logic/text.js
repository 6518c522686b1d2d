// @ts-check
/**
 * Data as zone files write it (RFC 1035 §5.1): words, quoted strings, escapes.
 */

/** The words of a line; of a quoted one what is between the quotes, escapes as they are. Null if a quote is open. @param {string} line @returns {string[] | null} */
export function words(line) {
  const found = [];
  const word = /\s*(?:"((?:\\[\s\S]|[^"\\])*)"|((?:\\[\s\S]|[^\s"\\])+))/gy;
  let end = 0;
  for (let hit = word.exec(line); hit; hit = word.exec(line)) {
    found.push(hit[1] ?? hit[2]);
    end = word.lastIndex;
  }
  return line.slice(end).trim() === '' ? found : null;
}

/** The octets that an escaped text stands for. @param {string} text @returns {Uint8Array} */
export function octetsOf(text) {
  /** @type {number[]} */
  const octets = [];
  for (const [part, decimal, char] of text.matchAll(/\\(\d{3})|\\([\s\S])|[^\\]+/g)) {
    if (decimal !== undefined) octets.push(Number(decimal) & 255);
    else octets.push(...new TextEncoder().encode(char ?? part));
  }
  return new Uint8Array(octets);
}

/** Octets as people read them: UTF-8 if it is, octets that are none as `\ddd`. @param {Uint8Array} octets */
export function readable(octets) {
  const escaped = (/** @type {number} */ octet) => `\\${String(octet).padStart(3, '0')}`;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets);
    return text.replace(/\\/g, '\\\\').replace(/[\x00-\x1f\x7f]/g, (char) => escaped(char.charCodeAt(0)));
  } catch {
    return [...octets].map((octet) => (octet === 92 ? '\\\\' : octet > 31 && octet < 127 ? String.fromCharCode(octet) : escaped(octet))).join('');
  }
}

/** Octets as a quoted string. @param {Uint8Array} octets */
export function quoted(octets) {
  const inside = [...octets].map((octet) => {
    if (octet === 34 || octet === 92) return `\\${String.fromCharCode(octet)}`;
    return octet > 31 && octet < 127 ? String.fromCharCode(octet) : `\\${String(octet).padStart(3, '0')}`;
  });
  return `"${inside.join('')}"`;
}

/** Cuts octets into the strings of a TXT record: at most 255 octets each (RFC 1035 §3.3.14). @param {Uint8Array} octets @returns {Uint8Array[]} */
export function chunks(octets) {
  const cut = [];
  for (let at = 0; at < octets.length || at === 0; at += CHUNK_MAX) cut.push(octets.slice(at, at + CHUNK_MAX));
  return cut;
}

/** Octets of one string. */
export const CHUNK_MAX = 255;
