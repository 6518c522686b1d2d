// @ts-check
/**
 * The way to the server: JSON in and out, the token, and errors in the server's own words.
 */

/** Where the token outlives a reload of the page, but not its tab. */
const KEY = 'zonda.token';

/** @type {string | null} */
let token = sessionStorage.getItem(KEY);

/** Who wants to know of log-in and log-out. @type {Set<() => void>} */
const listeners = new Set();

/** An answer that is an error: `status`, the server's `message`, and `fields` with what is wrong with each. */
export class ApiError extends Error {
  /** @param {number} status @param {string} message @param {Record<string, any>} [fields] */
  constructor(status, message, fields = {}) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.fields = fields;
  }

  /** What is wrong with a field, in the server's words. @param {string} name @returns {string | undefined} */
  field(name) {
    return this.fields[name]?.message;
  }
}

/** Whether somebody is logged in, as far as the page knows. */
export const isLoggedIn = () => token !== null;

/** Calls back on each log-in and log-out; returns what ends that. @param {() => void} listener */
export function onSession(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** @param {string | null} value */
function keep(value) {
  token = value;
  if (value === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, value);
  listeners.forEach((listener) => listener());
}

/** Logs in, or throws an ApiError. @param {string} identity @param {string} password */
export async function logIn(identity, password) {
  const path = '/api/collections/_superusers/auth-with-password';
  const answer = await send('POST', path, { body: { identity, password }, isGuest: true });
  keep((await answer.json()).token);
}

/** Forgets the token. */
export const logOut = () => keep(null);

/**
 * @typedef {object} Options
 * @property {Record<string, any>} [query] parameters; those that are null, undefined or empty are left out
 * @property {any} [body] sent as JSON, or as it is if it is a string or a Blob
 * @property {number | string | null} [serial] the serial that the zone has to have (If-Match)
 * @property {AbortSignal} [signal]
 * @property {boolean} [isGuest] whether the token is left out
 * @property {string} [accept]
 */

/**
 * Asks the server; the answer is a success, everything else is thrown as ApiError. Status 0 is no answer at all.
 * A token that is void leads to the log-in page, and from there back to where one was.
 * @param {string} method @param {string} path @param {Options} [options] @returns {Promise<Response>}
 */
export async function send(method, path, { query, body, serial, signal, isGuest, accept } = {}) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined && value !== '') url.searchParams.set(name, String(value));
  }
  /** @type {Record<string, string>} */
  const headers = {};
  if (accept) headers.Accept = accept;
  if (token !== null && !isGuest) headers.Authorization = `Bearer ${token}`;
  if (serial !== null && serial !== undefined) headers['If-Match'] = `"${serial}"`;
  const isRaw = typeof body === 'string' || body instanceof Blob;
  if (body !== undefined) headers['Content-Type'] = isRaw ? 'text/plain' : 'application/json';
  const sent = token;
  let answer;
  try {
    answer = await fetch(url, { method, headers, signal, body: isRaw ? body : body && JSON.stringify(body) });
  } catch (why) {
    if (signal?.aborted) throw why;
    throw new ApiError(0, 'The server does not answer. It may be restarting, or the connection is lost.');
  }
  if (answer.ok) return answer;
  if (answer.status === 401 && !isGuest && sent === token) keep(null);
  const said = await answer.json().catch(() => ({}));
  throw new ApiError(answer.status, said.message || `The server answered with status ${answer.status}.`, said.data ?? {});
}

/** Asks and reads JSON; null for an answer without a body. @param {string} method @param {string} path @param {Options} [options] */
export async function call(method, path, options) {
  const answer = await send(method, path, options);
  return answer.status === 204 ? null : answer.json();
}

/** @param {string} path @param {Options} [options] */
export const get = (path, options) => call('GET', path, options);

/** The path of a zone, or of what belongs to it. @param {string} zone @param {...string} rest */
export const zonePath = (zone, ...rest) => ['/api/zonda/zones', zone, ...rest].map((part, at) => (at ? encodeURIComponent(part) : part)).join('/');

/** Lets the browser store what the server sends. @param {string} path @param {string} name @param {Options} [options] */
export async function download(path, name, options) {
  const answer = await send('GET', path, options);
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
