// @ts-check
// What changes elsewhere: one stream of the server per page, which heals by itself.
//
// The stream is read with fetch, as the token goes in a header. It is open only while the page is seen: a browser has few
// connections to one server, and a page that comes back looks at everything anew anyhow.

import { useEffect, useRef, useState } from '../vendor/preact.js';
import { eventReader, patience } from '../logic/events.js';
import { canonical } from '../logic/names.js';
import { call, send } from './api.js';

/** @typedef {"closed" | "opening" | "open" | "lost"} State */

/** @type {State} */
let state = 'closed';
/** @type {Set<() => void>} */
const watchers = new Set();
/** @type {AbortController | null} */
let running = null;
/** Ends a wait between two attempts. */
let hurry = () => {};

/** How the connection is. */
export function connection() {
  return state;
}

/** Calls back when the connection is another; gives the way to stop it. @param {() => void} watcher */
export function onConnection(watcher) {
  watchers.add(watcher);
  return () => void watchers.delete(watcher);
}

/** Begins to listen, from the log-in on. */
export function start() {
  document.addEventListener('visibilitychange', turn);
  window.addEventListener('online', () => hurry());
  turn();
}

/** Listens no more. */
export function stop() {
  document.removeEventListener('visibilitychange', turn);
  running?.abort();
  running = null;
  set('closed');
}

/** Opens the stream when the page is seen, and closes it when it is not. */
function turn() {
  if (document.hidden) {
    running?.abort();
    running = null;
  } else if (!running) {
    running = new AbortController();
    void keep(running.signal);
  }
}

/** Keeps a stream open until it is no longer wanted. @param {AbortSignal} signal */
async function keep(signal) {
  let failed = 0;
  while (!signal.aborted) {
    if (failed === 0) set('opening');
    try {
      await listen(signal, () => {
        failed = 0;
        set('open');
        // What happened while nobody listened is not told again, and a page has loaded before it listens.
        tell(null);
      });
    } catch {
      // Whatever it was: the next attempt says more.
    }
    if (signal.aborted) return;
    failed += 1;
    // A stream that the server ends in good order is opened anew at once and is no loss yet.
    if (failed > 1) set('lost');
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, patience(failed));
      hurry = () => resolve(clearTimeout(timer));
      signal.addEventListener('abort', hurry, { once: true });
    });
  }
}

/**
 * Opens one stream and reads it to its end.
 * @param {AbortSignal} outer
 * @param {() => void} opened
 */
async function listen(outer, opened) {
  const inner = new AbortController();
  const abort = () => inner.abort();
  outer.addEventListener('abort', abort, { once: true });
  let timer = setTimeout(abort, SILENCE_MAX);
  try {
    // A token that is void by now shows here, and leads to the log-in.
    await call('GET', '/api/zonda/statistics', { query: { fields: 'time' }, signal: inner.signal });
    await readEvents(
      '/api/realtime',
      inner.signal,
      async ({ event, data }) => {
        if (event === 'PB_CONNECT') {
          const { clientId } = JSON.parse(data);
          await call('POST', '/api/realtime', { body: { clientId, subscriptions: [TOPIC] }, signal: inner.signal });
          opened();
        } else if (event.startsWith('coredns_records/')) {
          const zone = JSON.parse(data).record?.zone;
          // As its writer wrote it.
          gather(zone && canonical(zone));
        }
      },
      () => {
        clearTimeout(timer);
        timer = setTimeout(abort, SILENCE_MAX);
      },
    );
  } finally {
    clearTimeout(timer);
    outer.removeEventListener('abort', abort);
    inner.abort();
  }
}

/**
 * Reads a stream of events to its end.
 * @param {string} path
 * @param {AbortSignal} signal
 * @param {(event: import("../logic/events.js").ServerEvent) => void | Promise<void>} told
 * @param {() => void} [alive] called at each sign of life
 */
export async function readEvents(path, signal, told, alive = () => {}) {
  const answer = await send('GET', path, { signal, accept: 'text/event-stream' });
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const read = eventReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    for (const event of read(value)) await told(event);
  }
}

/** How the connection is; the component is drawn again when that changes. @returns {State} */
export function useConnection() {
  const [seen, set] = useState(state);
  useEffect(() => onConnection(() => set(state)), []);
  return seen;
}

/**
 * Calls back when a zone changes; any zone if none is given.
 * @param {() => void} changed
 * @param {string | null} [zone] with its final dot
 */
export function useLive(changed, zone = null) {
  const latest = useRef(changed);
  latest.current = changed;
  useEffect(() => {
    const told = (/** @type {any} */ { detail }) => {
      if (zone === null || detail.zone === null || detail.zone === zone) latest.current();
    };
    window.addEventListener(EVENT, told);
    return () => window.removeEventListener(EVENT, told);
  }, [zone]);
}

/** @type {Set<string>} */
let gathered = new Set();
let gathering = 0;

/** Gathers zones for a moment: an import tells each of its records. @param {string | undefined} zone */
function gather(zone) {
  if (zone) gathered.add(zone);
  if (gathering) return;
  gathering = window.setTimeout(() => {
    const zones = gathered;
    gathered = new Set();
    gathering = 0;
    tell(zones);
  }, GATHER);
}

/** Tells the page which zones have changed; null for any. @param {Set<string> | null} zones */
function tell(zones) {
  const told = zones === null || zones.size > ZONES_MAX ? [null] : [...zones];
  for (const zone of told) window.dispatchEvent(new CustomEvent(EVENT, { detail: { zone } }));
}

/** @param {State} now */
function set(now) {
  if (state === now) return;
  state = now;
  for (const watcher of [...watchers]) watcher();
}

/** All records, of which the zone's name is enough. */
const TOPIC = `coredns_records/*?options=${encodeURIComponent(JSON.stringify({ query: { fields: 'zone' } }))}`;

/** The event of the window that tells of a zone. */
const EVENT = 'zonda:zone';

/** Zones that are told one by one. */
const ZONES_MAX = 20;

/** Milliseconds in which changes are gathered. */
const GATHER = 150;

/** Milliseconds without a sign of life after which a stream is taken for dead; the server gives one each half minute. */
const SILENCE_MAX = 75_000;
