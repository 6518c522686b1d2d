// @ts-check
// Charts of the last minutes, drawn in SVG. Lines differ by their dashes too, so that they can be told apart without colour.

import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { scale } from '../logic/traffic.js';

/**
 * @typedef {object} Series
 * @property {string} label
 * @property {(point: any) => number | null} value
 */

/**
 * Lines over time. A null among the points is a gap.
 * @param {{ label: string, points: ({ at: number } | null)[], series: Series[], span: number,
 *   format: (value: number | null) => string }} props
 */
export function Lines({ label, points, series, span, format }) {
  const [frame, width] = useWidth();
  const [hovered, hover] = useState(/** @type {number | null} */ (null));
  const shown = points.filter((point) => point !== null);
  const end = shown.length > 0 ? shown[shown.length - 1].at : 0;
  const begin = end - span;
  let max = 0;
  for (const point of shown) {
    if (point.at >= begin) for (const { value } of series) max = Math.max(max, value(point) ?? 0);
  }
  const ticks = scale(max);
  const top = ticks[ticks.length - 1];
  const inner = Math.max(width - LEFT - RIGHT, 1);
  const x = (/** @type {number} */ at) => LEFT + ((at - begin) / span) * inner;
  const y = (/** @type {number} */ value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  const read = hovered === null ? null : nearest(shown, begin + ((hovered - LEFT) / inner) * span);
  const told = read ?? shown[shown.length - 1] ?? null;
  const move = (/** @type {PointerEvent} */ event) => {
    const box = /** @type {Element} */ (event.currentTarget).getBoundingClientRect();
    hover(event.clientX - box.left);
  };
  const now = series.map(({ label, value }) => `${label} ${format(told ? value(told) : null)}`).join(', ');
  return html`<figure class="chart" ref=${frame}>
    <figcaption class="chart-head">
      <span class="chart-title">${label}</span>
      <span class="chart-time">${read ? clock(read.at) : ''}</span>
    </figcaption>
    <svg width=${width} height=${HEIGHT} role="img" aria-label=${`${label}: ${now}`}
      onPointerMove=${move} onPointerLeave=${() => hover(null)}>
      ${ticks.map(
        (tick) => html`<g key=${tick}>
        <line class="chart-grid" x1=${LEFT} x2=${width - RIGHT} y1=${y(tick)} y2=${y(tick)} />
        <text class="chart-tick" x=${LEFT - 8} y=${y(tick) + 4} text-anchor="end">${format(tick)}</text>
      </g>`,
      )}
      ${marks(span, width).map(
        (ago) => html`<text key=${ago} class="chart-tick" y=${HEIGHT - 4}
        x=${x(end - ago)} text-anchor=${ago === 0 ? 'end' : ago === span ? 'start' : 'middle'}>
        ${ago === 0 ? 'now' : `−${spanText(ago)}`}</text>`,
      )}
      ${series.length === 1 && html`<path class="chart-area tone-1" d=${area(points, series[0].value, x, y, begin)} />`}
      ${series.map(
        ({ label, value }, index) => html`<path key=${label} class=${`chart-line tone-${index + 1}`}
        d=${line(points, value, x, y, begin)} />`,
      )}
      ${read && html`<line class="chart-cursor" x1=${x(read.at)} x2=${x(read.at)} y1=${TOP} y2=${HEIGHT - BOTTOM} />`}
    </svg>
    ${
      series.length > 1 &&
      html`<ul class="chart-legend">
      ${series.map(
        ({ label, value }, index) => html`<li key=${label}>
        <svg class="chart-key" width="20" height="8" aria-hidden="true">
          <line class=${`chart-line tone-${index + 1}`} x1="0" x2="20" y1="4" y2="4" />
        </svg>
        <span>${label}</span> <b>${format(told ? value(told) : null)}</b>
      </li>`,
      )}
    </ul>`
    }
  </figure>`;
}

/**
 * Values with a bar each, of which the longest is the largest value.
 * @param {{ label: string, rows: [string, number][], format: (value: number) => string, empty: string,
 *   link?: (name: string) => string | null }} props
 */
export function Bars({ label, rows, format, empty, link = () => null }) {
  const max = Math.max(...rows.map(([, value]) => value), 0);
  const all = rows.reduce((sum, [, value]) => sum + value, 0);
  return html`<figure class="chart">
    <figcaption class="chart-head"><span class="chart-title">${label}</span></figcaption>
    ${rows.length === 0 && html`<p class="chart-empty">${empty}</p>`}
    <ol class="bars">
      ${rows.map(
        ([name, value]) => html`<li key=${name} class="bar">
        <span class="bar-name" title=${name}>${link(name) ? html`<a href=${link(name)}>${name}</a>` : name}</span>
        <span class="bar-value">${format(value)}</span>
        <span class="bar-part">${Math.round((value / all) * 100)} %</span>
        <span class="bar-track" aria-hidden="true"><span style=${{ width: `${(value / max) * 100}%` }}></span></span>
      </li>`,
      )}
    </ol>
  </figure>`;
}

/** The width of an element, and how to name it. @returns {[any, number]} */
function useWidth() {
  const ref = useRef(null);
  const [width, set] = useState(480);
  useEffect(() => {
    const seen = new ResizeObserver(([entry]) => set(Math.floor(entry.contentRect.width)));
    if (ref.current) seen.observe(ref.current);
    return () => seen.disconnect();
  }, []);
  return [ref, width];
}

/** The point that is nearest in time. */
function nearest(/** @type {{ at: number }[]} */ points, /** @type {number} */ at) {
  let best = null;
  for (const point of points) if (!best || Math.abs(point.at - at) < Math.abs(best.at - at)) best = point;
  return best;
}

/** The path of a line, with a break at each gap. */
function line(points, value, x, y, begin) {
  let path = '';
  let draws = false;
  for (const point of points) {
    const height = point && point.at >= begin ? value(point) : null;
    if (height === null) {
      draws = false;
      continue;
    }
    path += `${draws ? 'L' : 'M'}${x(point.at).toFixed(1)} ${y(height).toFixed(1)}`;
    draws = true;
  }
  return path;
}

/** The path of the area below a line. */
function area(points, value, x, y, begin) {
  let path = '';
  let last = null;
  for (const point of [...points, null]) {
    const height = point && point.at >= begin ? value(point) : null;
    if (height === null) {
      if (last) path += `L${x(last.at).toFixed(1)} ${y(0)}Z`;
      last = null;
      continue;
    }
    if (!last) path += `M${x(point.at).toFixed(1)} ${y(0)}`;
    path += `L${x(point.at).toFixed(1)} ${y(height).toFixed(1)}`;
    last = point;
  }
  return path;
}

/** A time of day in the reader's zone. */
const clock = (/** @type {number} */ at) => new Date(at).toLocaleTimeString();

/** The times before now that are named below a chart, in milliseconds. @param {number} span @param {number} width */
function marks(span, width) {
  const most = width < 400 ? 3 : 5;
  const step = [15_000, 30_000, 60_000, 300_000].find((step) => span / step <= most) ?? span;
  return Array.from({ length: Math.round(span / step) + 1 }, (_, at) => at * step);
}

/** A span in the unit that fits it. */
const spanText = (/** @type {number} */ span) =>
  span >= 60_000 ? `${Math.round(span / 60_000)} min` : `${Math.round(span / 1000)} s`;

const HEIGHT = 176;
const LEFT = 52;
const RIGHT = 8;
const TOP = 10;
const BOTTOM = 24;
