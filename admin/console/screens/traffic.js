// @ts-check
/**
 * What is asked and answered, live. The server keeps no past of it; the page keeps what it has seen.
 */
import { html, useEffect, useState } from '../vendor/preact.js';
import { Bars, Lines } from '../lib/chart.js';
import { useTitle } from '../lib/hooks.js';
import { Failure, Head, Notice } from '../lib/kit.js';
import { readEvents } from '../lib/live.js';
import { amend, href } from '../lib/router.js';
import { patience } from '../logic/events.js';
import { durationText, look, means, rateText } from '../logic/traffic.js';

/** @typedef {import('../logic/traffic.js').Statistics} Statistics */
/** @typedef {import('../logic/traffic.js').Point} Point */

/** What the page has seen, which stays when one goes to another screen. @type {{ last: Statistics | null, points: (Point | null)[] }} */
let seen = { last: null, points: [] };

/** @param {{ query: Record<string, string> }} props */
export function Traffic({ query }) {
  useTitle('Traffic');
  const [{ last, points }, setSeen] = useState(seen);
  const [error, setError] = useState(/** @type {any} */ (null));
  useEffect(
    () =>
      follow((now) => {
        seen = look(seen, now, KEPT);
        setSeen(seen);
        setError(null);
      }, setError),
    [],
  );
  const span = SPANS.find(([key]) => key === query.span) ?? SPANS[0];
  const end = points.findLast((point) => point !== null)?.at ?? 0;
  const recent = /** @type {Point[]} */ (points.filter((point) => point !== null && point.at >= end - span[2]));
  const now = points[points.length - 1] ?? null;
  const rate = (/** @type {number | null} */ value) => (value === null ? '–' : `${rateText(value)}/s`);
  const rcodes = means(recent, (point) => point.rcodes, 5).map(([rcode]) => rcode);
  const aboutRcode = (/** @type {Point} */ point, /** @type {string} */ rcode) =>
    rcode === 'other' ? Object.entries(point.rcodes).reduce((sum, [key, value]) => (rcodes.includes(key) ? sum : sum + value), 0) : (point.rcodes[rcode] ?? 0);
  const names = (last?.names.top ?? []).slice(0, 15).map(({ name, samples }) => /** @type {[string, number]} */ ([name, samples]));
  return html`<${Head} title="Traffic" aside=${last ? html`<span class=${error ? "live lost-line" : "live"}>${error ? 'connection lost, trying again' : 'live'}</span>` : ''}>
      <div class="segments" role="group" aria-label="Time shown">${SPANS.map(([key, text]) => html`<button key=${key} type="button" aria-pressed=${key === span[0] ? 'true' : 'false'} onClick=${() => amend({ span: key })}>${text}</button>`)}</div>
    </${Head}>
    ${error && !last && html`<${Failure} error=${error} />`}
    ${last && !last.counted && html`<${Notice} kind="warn">No server block has the plugin <code>prometheus</code>, so rcodes, types and latency are not counted; messages are. Add it to the Corefile to see them.</${Notice}>`}
    <dl class="tiles">
      <${Tile} name=${last?.counted === false ? 'Messages' : 'Queries'} value=${now ? rate(now.queries) : '–'} />
      <${Tile} name="Answered in, median" value=${durationText(now?.median ?? null)} />
      <${Tile} name="Answered in, 99 of 100" value=${durationText(now?.slowest ?? null)} />
      <${Tile} name="TCP connections" value=${last ? String(last.tcp.open) : '–'} />
      <${Tile} name="Queries since the start" value=${last ? (last.counted ? last.queries.total : last.udp.received + last.tcp.received).toLocaleString() : '–'} />
      <${Tile} name="Answers dropped" value=${last ? last.udp.dropped.toLocaleString() : '–'} />
    </dl>
    <div class="charts">
      <${Lines} label="Queries per second" points=${points} span=${span[2]} format=${(/** @type {number | null} */ value) => (value === null ? '–' : rateText(value))}
        series=${[{ label: 'Queries', value: (/** @type {Point} */ point) => point.queries }]} />
      <${Lines} label="Answers per second by rcode" points=${points} span=${span[2]} format=${(/** @type {number | null} */ value) => (value === null ? '–' : rateText(value))}
        series=${(rcodes.length > 0 ? rcodes : ['NOERROR']).map((rcode) => ({ label: rcode, value: (/** @type {Point} */ point) => aboutRcode(point, rcode) }))} />
      <${Lines} label="Time to answer" points=${points} span=${span[2]} format=${durationText}
        series=${[{ label: 'median', value: (/** @type {Point} */ point) => point.median }, { label: '99 of 100', value: (/** @type {Point} */ point) => point.slowest }]} />
      <${Bars} label="Types" rows=${means(recent, (point) => point.types, 8)} format=${rate} empty="No query was counted in this time." />
      <${Bars} label="Names asked for most" rows=${names} format=${(/** @type {number} */ value) => value.toLocaleString()} empty="Names are sampled while this page is open; none has come yet."
        link=${(/** @type {string} */ name) => href('/ask', { name })} />
      <${Bars} label="Server blocks" rows=${(last?.zones ?? []).slice(0, 15).map(({ server, zone, queries }) => /** @type {[string, number]} */ ([`${zone} on ${server.replace('dns://', '')}`, queries]))}
        format=${(/** @type {number} */ value) => value.toLocaleString()} empty="No server block has counted a query yet." />
    </div>`;
}

/** A number with its name. @param {{ name: string, value: string }} props */
const Tile = ({ name, value }) => html`<div class="tile"><dt>${name}</dt><dd>${value}</dd></div>`;

/**
 * Follows the statistics while the page is seen, over losses of the connection; returns what ends it.
 * @param {(now: Statistics) => void} told
 * @param {(error: any) => void} lost
 */
function follow(told, lost) {
  /** @type {AbortController | null} */
  let running = null;
  const run = async (/** @type {AbortSignal} */ signal) => {
    for (let failed = 0; !signal.aborted; failed += 1) {
      try {
        await readEvents('/api/zonda/statistics/stream', signal, ({ data }) => {
          failed = 0;
          told(JSON.parse(data));
        });
      } catch (error) {
        if (!signal.aborted && failed > 0) lost(error);
      }
      if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, patience(failed + 1)));
    }
  };
  const turn = () => {
    if (document.hidden) {
      running?.abort();
      running = null;
    } else if (!running) {
      running = new AbortController();
      void run(running.signal);
    }
  };
  document.addEventListener('visibilitychange', turn);
  turn();
  return () => {
    document.removeEventListener('visibilitychange', turn);
    running?.abort();
  };
}

/** The times that can be shown: key, text, milliseconds. @type {[string, string, number][]} */
const SPANS = [
  ['1', '1 min', 60_000],
  ['5', '5 min', 300_000],
  ['15', '15 min', 900_000],
];

/** Milliseconds that the page keeps. */
const KEPT = 900_000;
