// @ts-check
// Rates and latencies from the counters that the server tells each second.

/** @typedef {Record<string, number>} Counts */
/**
 * What the server tells; see `/api/zonda/statistics` in the API's description.
 * @typedef {object} Statistics
 * @property {string} time
 * @property {number} uptime_seconds
 * @property {{ received: number, answered: number, silent: number, dropped: number }} udp
 * @property {{ received: number, answered: number, open: number }} tcp
 * @property {boolean} counted
 * @property {{ total: number, types: Counts, rcodes: Counts, transports: Counts,
 *   latency: { bounds_seconds: number[], counts: number[], sum_seconds: number } }} queries
 * @property {{ server: string, zone: string, queries: number }[]} zones
 * @property {{ samples: number, top: { name: string, samples: number }[] }} names
 */
/**
 * What happened between two looks, per second.
 * @typedef {object} Point
 * @property {number} at milliseconds since 1970 of the later look
 * @property {number} seconds time between the looks
 * @property {number} queries
 * @property {Counts} rcodes
 * @property {Counts} types
 * @property {number[]} latencies how many answers of the interval fell to each bound
 * @property {number | null} median seconds; null without answers
 * @property {number | null} slowest seconds that 99 of 100 answers did not need; null without answers
 */

/**
 * What happened between two looks; null if the server was started anew in between, or no time has passed.
 * @param {Statistics} before
 * @param {Statistics} now
 * @returns {Point | null}
 */
export function between(before, now) {
  const at = moment(now.time);
  const seconds = (at - moment(before.time)) / 1000;
  const whole = total(now) - total(before);
  if (seconds <= 0 || whole < 0 || now.uptime_seconds < before.uptime_seconds) return null;
  const { bounds_seconds: bounds, counts } = now.queries.latency;
  const latencies = counts.map((count, index) => count - (before.queries.latency.counts[index] ?? 0));
  return {
    at,
    seconds,
    queries: whole / seconds,
    rcodes: rates(before.queries.rcodes, now.queries.rcodes, seconds),
    types: rates(before.queries.types, now.queries.types, seconds),
    latencies,
    median: quantile(bounds, latencies, 0.5),
    slowest: quantile(bounds, latencies, 0.99),
  };
}

/**
 * All queries: those counted, or all messages where no server block counts.
 * @param {Statistics} now
 */
export function total(now) {
  return now.counted ? now.queries.total : now.udp.received + now.tcp.received;
}

/**
 * The growth of each counter per second, without those that stand still.
 * @param {Counts} before
 * @param {Counts} now
 * @param {number} seconds
 */
function rates(before, now, seconds) {
  /** @type {Counts} */
  const grown = {};
  for (const [key, count] of Object.entries(now)) {
    const more = count - (before[key] ?? 0);
    if (more > 0) grown[key] = more / seconds;
  }
  return grown;
}

/**
 * The value that a part of all values does not exceed, taken as evenly spread between the bounds.
 * @param {number[]} bounds upper bounds; `counts` has one more for what is above
 * @param {number[]} counts
 * @param {number} part from 0 to 1
 */
export function quantile(bounds, counts, part) {
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  let left = all * part;
  for (const [index, count] of counts.entries()) {
    if (count > 0 && left <= count) {
      const low = index === 0 ? 0 : bounds[index - 1];
      const high = bounds[index] ?? low;
      return low + ((high - low) * left) / count;
    }
    left -= count;
  }
  return bounds[bounds.length - 1];
}

/**
 * The means of some rates over a time, largest first; what is beyond `most` goes together under "other".
 * @param {Point[]} points
 * @param {(point: Point) => Counts} which
 * @param {number} most
 * @returns {[string, number][]}
 */
export function means(points, which, most) {
  /** @type {Counts} */
  const sums = {};
  let seconds = 0;
  for (const point of points) {
    seconds += point.seconds;
    for (const [key, rate] of Object.entries(which(point))) sums[key] = (sums[key] ?? 0) + rate * point.seconds;
  }
  const sorted = Object.entries(sums).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const shown = sorted.slice(0, most);
  const other = sorted.slice(most).reduce((sum, [, count]) => sum + count, 0);
  if (other > 0) shown.push(['other', other]);
  return shown.map(([key, count]) => [key, count / seconds]);
}

/**
 * Adds a look to those before; what is older than `keep` milliseconds goes. Where the server was started anew, or nobody
 * looked for a while, a gap stays.
 * @param {{ last: Statistics | null, points: (Point | null)[] }} seen
 * @param {Statistics} now
 * @param {number} keep
 */
export function look(seen, now, keep) {
  const { last } = seen;
  let points = seen.points;
  if (last) {
    const point = between(last, now);
    const gap = point === null || point.seconds > GAP_SECONDS;
    points = [...points, gap ? null : point];
    const oldest = moment(now.time) - keep;
    const first = points.findIndex((point) => point !== null && point.at >= oldest);
    points = first < 0 ? [] : points.slice(first);
  }
  return { last: now, points };
}

/** Milliseconds since 1970 of a time as the API writes it. @param {string} text */
export function moment(text) {
  return Date.parse(text.replace(' ', 'T'));
}

/**
 * Round numbers from 0 to at least `max`, two to five steps apart.
 * @param {number} max
 */
export function scale(max) {
  if (!(max > 0)) return [0, 1];
  const power = 10 ** Math.floor(Math.log10(max / 2));
  const step = [1, 2, 2.5, 5, 10, 20].map((factor) => factor * power).find((step) => max / step <= 4) ?? max;
  const ticks = [0];
  while (ticks[ticks.length - 1] < max - step * 1e-9) ticks.push(step * ticks.length);
  return ticks;
}

/** A rate in few figures: 0.4, 12, 3,400, 1.2 M. @param {number} rate */
export function rateText(rate) {
  if (rate >= 1e6) return `${(rate / 1e6).toFixed(rate >= 1e7 ? 0 : 1)} M`;
  if (rate >= 1e5) return `${Math.round(rate / 1e3).toLocaleString('en')} k`;
  if (rate >= 10 || rate === 0) return Math.round(rate).toLocaleString('en');
  return rate.toFixed(1);
}

/** A short time in the unit that fits it: 3.1 µs, 42 ms. @param {number | null} seconds */
export function durationText(seconds) {
  if (seconds === null) return '–';
  if (seconds === 0) return '0';
  const units = /** @type {[number, string][]} */ ([
    [1e-6, 'ns'],
    [1e-3, 'µs'],
    [1, 'ms'],
    [Infinity, 's'],
  ]);
  const at = units.findIndex(([below]) => seconds < below);
  const value = seconds * [1e9, 1e6, 1e3, 1][at];
  return `${value >= 10 || value === 0 ? Math.round(value) : value.toFixed(1)} ${units[at][1]}`;
}

/** Seconds without a look that make a gap. */
const GAP_SECONDS = 5;
