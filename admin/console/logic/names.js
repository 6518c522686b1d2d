// @ts-check
/**
 * Names: full and relative to a zone, in ASCII as the server has them and in Unicode as people read them.
 */

/** The labels of a name, escapes kept as they are written. @param {string} name @returns {string[]} */
export function labels(name) {
  return name.replace(/\.$/, '') === '' ? [] : (name.match(/(?:\\.|[^.\\])+/gs) ?? []);
}

/** A name in lower case with its final dot. @param {string} name */
export const canonical = (name) => (isFull(name) ? name : `${name}.`).toLowerCase();

/** Whether a name ends with a dot that is not escaped. @param {string} name */
const isFull = (name) => /(^|[^\\])(\\\\)*\.$/.test(name);

/** Whether a name is a zone's own or below it. @param {string} name @param {string} zone */
export const isWithin = (name, zone) => zone === '.' || canonical(name) === canonical(zone) || canonical(name).endsWith(`.${canonical(zone)}`);

/** A full name as one writes it inside a zone: `@` for the zone itself. @param {string} name @param {string} zone */
export function relative(name, zone) {
  if (canonical(name) === canonical(zone)) return '@';
  if (!isWithin(name, zone)) return name;
  return zone === '.' ? name.replace(/\.$/, '') : name.slice(0, -(canonical(zone).length + 1));
}

/** What is typed inside a zone as a full name in ASCII. @param {string} text @param {string} zone */
export function absolute(text, zone) {
  const name = toAscii(text.trim());
  if (name === '' || name === '@') return canonical(zone);
  if (isFull(name)) return canonical(name);
  return zone === '.' ? canonical(name) : `${name}.${zone}`.toLowerCase();
}

/** A name for people: A-labels (RFC 5890) in Unicode. @param {string} name */
export function toUnicode(name) {
  if (!/xn--/i.test(name)) return name;
  const shown = labels(name).map((label) => {
    if (!/^xn--/i.test(label)) return label;
    const text = punycode(label.slice(4).toLowerCase());
    // What does not come out again the same way is shown as it is.
    return text !== null && toAscii(text) === label.toLowerCase() ? text : label;
  });
  return shown.join('.') + (isFull(name) ? '.' : '');
}

/** A name for the server: labels in Unicode become A-labels; what cannot become one stays. @param {string} name */
export function toAscii(name) {
  // Dots of other scripts stand for a dot (UTS #46).
  return name.replace(/[。．｡]/g, '.').replace(/[^.\\\s"]*[^\x00-\x7f][^.\\\s"]*/g, (label) => {
    try {
      const { hostname } = new URL(`http://${label}/`);
      // What ends a host in an address, or is read as an IPv4 address, is no label.
      return /[/?#@:%]/.test(label) || hostname.includes('.') ? label : hostname;
    } catch {
      return label;
    }
  });
}

/** What is wrong with a name, or nothing. @param {string} text @param {{ isHost?: boolean, isWildcard?: boolean }} [rules] @returns {string} */
export function faultOfName(text, { isHost = false, isWildcard = true } = {}) {
  const name = toAscii(text.trim());
  if (name === '') return 'A name is needed.';
  if (name === '@' || name === '.') return '';
  if (/\s/.test(name)) return 'A name has no spaces.';
  if (/[^\x00-\x7f]/.test(name)) return 'This is not a name that can be written in DNS.';
  if (/(^|[^\\])\.\./.test(name) || name.startsWith('.')) return 'There is nothing between two dots.';
  const parts = labels(name);
  const octets = parts.map((label) => label.replace(/\\(\d{3}|.)/gs, 'x').length);
  if (octets.some((length) => length > 63)) return 'A part between dots is at most 63 characters long.';
  if (octets.reduce((sum, length) => sum + length + 1, 1) > 255) return 'A name is at most 255 octets long.';
  if (!isWildcard && parts[0] === '*') return 'A wildcard cannot be a target.';
  if (isHost && parts.some((label) => !/^[a-z0-9_*]([a-z0-9_-]*[a-z0-9_])?$/i.test(label))) return 'A host name has letters, digits and hyphens only.';
  return '';
}

/** The name under which an address is found backwards, or null. @param {string} address */
export function reverseName(address) {
  if (isIpv4(address)) return `${address.split('.').reverse().join('.')}.in-addr.arpa.`;
  const groups = ipv6Groups(address);
  if (!groups) return null;
  const digits = groups.map((group) => group.toString(16).padStart(4, '0')).join('');
  return `${[...digits].reverse().join('.')}.ip6.arpa.`;
}

/** The longest of the zones that a name is in. @param {string} name @param {string[]} zones @returns {string | undefined} */
export const zoneOf = (name, zones) => zones.filter((zone) => isWithin(name, zone)).sort((a, b) => b.length - a.length)[0];

/** @param {string} text */
export const isIpv4 = (text) => /^(\d{1,3})(\.\d{1,3}){3}$/.test(text) && text.split('.').every((part) => Number(part) < 256 && String(Number(part)) === part);

/** The eight groups of an IPv6 address, or null. @param {string} text @returns {number[] | null} */
export function ipv6Groups(text) {
  let rest = text;
  const v4 = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (v4) {
    if (!isIpv4(v4[2])) return null;
    const [a, b, c, d] = v4[2].split('.').map(Number);
    rest = `${v4[1]}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  }
  const halves = rest.split('::');
  if (halves.length > 2) return null;
  const read = (/** @type {string} */ half) => (half === '' ? [] : half.split(':'));
  const [head, tail] = [read(halves[0]), read(halves[1] ?? '')];
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...Array.from({ length: halves.length === 2 ? missing : 0 }, () => '0'), ...tail];
  return groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group)) ? groups.map((group) => parseInt(group, 16)) : null;
}

/** Decodes Punycode (RFC 3492 §6.2), or null. @param {string} text */
function punycode(text) {
  const cut = text.lastIndexOf('-');
  const output = cut > 0 ? [...text.slice(0, cut)].map((char) => char.codePointAt(0) ?? 0) : [];
  let [n, i, bias] = [128, 0, 72];
  for (let at = cut > 0 ? cut + 1 : 0; at < text.length; ) {
    const before = i;
    for (let weight = 1, k = 36; ; k += 36) {
      const char = text.charCodeAt(at);
      at += 1;
      const digit = char >= 97 && char <= 122 ? char - 97 : char >= 48 && char <= 57 ? char - 22 : 36;
      if (digit > 35) return null;
      i += digit * weight;
      const t = Math.min(26, Math.max(1, k - bias));
      if (digit < t) break;
      weight *= 36 - t;
    }
    const length = output.length + 1;
    let delta = Math.floor((i - before) / (before === 0 ? 700 : 2));
    delta += Math.floor(delta / length);
    let k = 0;
    for (; delta > 455; k += 36) delta = Math.floor(delta / 35);
    bias = k + Math.floor((36 * delta) / (delta + 38));
    n += Math.floor(i / length);
    if (n > 0x10ffff) return null;
    i %= length;
    output.splice(i, 0, n);
    i += 1;
  }
  return String.fromCodePoint(...output);
}
