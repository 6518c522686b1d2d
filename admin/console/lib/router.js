// @ts-check
/**
 * Where one is, in the part of the address after `#`: `#/zones/example.org.?type=A`.
 */
import { useEffect, useState } from '../vendor/preact.js';

/**
 * @typedef {object} Place
 * @property {string} path
 * @property {Record<string, string>} query
 */

/** Reads a hash. @param {string} hash @returns {Place} */
export function parse(hash) {
  const [path, query = ''] = hash.replace(/^#/, '').split('?', 2);
  return { path: path || '/', query: Object.fromEntries(new URLSearchParams(query)) };
}

/** Writes one; empty parameters are left out. @param {string} path @param {Record<string, any>} [query] */
export function href(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `#${path}${text && `?${text}`}`;
}

/** Goes somewhere. @param {string} path @param {Record<string, any>} [query] */
export function go(path, query) {
  location.hash = href(path, query);
}

/** Changes the parameters of where one is, without a step in the browser's history. @param {Record<string, any>} query */
export function amend(query) {
  const here = parse(location.hash);
  history.replaceState(null, '', href(here.path, { ...here.query, ...query }));
  window.dispatchEvent(new HashChangeEvent('hashchange'));
}

/** Where one is; the component is drawn again when that changes. @returns {Place} */
export function usePlace() {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const moved = () => setHash(location.hash);
    window.addEventListener('hashchange', moved);
    return () => window.removeEventListener('hashchange', moved);
  }, []);
  return parse(hash);
}

/**
 * The parameters of a path that fits a pattern like `/zones/:zone`, or null.
 * @param {string} pattern @param {string} path @returns {Record<string, string> | null}
 */
export function match(pattern, path) {
  const [wanted, given] = [pattern.split('/'), path.split('/')];
  if (wanted.length !== given.length) return null;
  /** @type {Record<string, string>} */
  const params = {};
  for (const [at, part] of wanted.entries()) {
    if (part.startsWith(':')) {
      try {
        params[part.slice(1)] = decodeURIComponent(given[at]);
      } catch {
        return null;
      }
    } else if (part !== given[at]) return null;
  }
  return params;
}
