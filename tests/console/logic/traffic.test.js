// Rates, quantiles and scales of the traffic page.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as traffic from '../../../admin/console/logic/traffic.js';

/** What a server would tell. */
function statistics(second, total, more = {}) {
  return {
    time: `2026-11-26 10:00:${String(second).padStart(2, '0')}.000Z`,
    uptime_seconds: second,
    udp: { received: total, answered: total, silent: 0, dropped: 0 },
    tcp: { received: 5, answered: 5, open: 0 },
    counted: true,
    queries: {
      total,
      types: { A: total },
      rcodes: { NOERROR: total },
      transports: {},
      latency: { bounds_seconds: [0.001, 0.002], counts: [total, 0, 0], sum_seconds: 0 },
      ...more,
    },
    zones: [],
    names: { samples: 0, top: [] },
  };
}

test('rates are what grew, per second', () => {
  const point = traffic.between(statistics(1, 100), statistics(3, 300, { rcodes: { NOERROR: 290, NXDOMAIN: 10 } }));
  assert.deepEqual([point.queries, point.types, point.rcodes], [100, { A: 100 }, { NOERROR: 95, NXDOMAIN: 5 }]);
  assert.deepEqual([point.latencies, point.median, point.slowest], [[200, 0, 0], 0.0005, 0.00099]);
});

test('a server that was started anew is a gap and no negative rate', () => {
  assert.equal(traffic.between(statistics(9, 100), statistics(2, 5)), null);
  assert.equal(traffic.between(statistics(2, 100), statistics(2, 100)), null);
  let seen = { last: null, points: [] };
  for (const [second, total] of [
    [1, 0],
    [2, 10],
    [3, 30],
  ])
    seen = traffic.look(seen, statistics(second, total), 60_000);
  assert.deepEqual(
    seen.points.map((point) => point?.queries),
    [10, 20],
  );
  seen = traffic.look(seen, { ...statistics(4, 1), uptime_seconds: 0 }, 60_000);
  seen = traffic.look(seen, { ...statistics(5, 3), uptime_seconds: 1 }, 60_000);
  assert.deepEqual(
    seen.points.map((point) => point?.queries),
    [10, 20, undefined, 2],
  );
  seen = traffic.look(seen, { ...statistics(20, 18), uptime_seconds: 16 }, 60_000);
  assert.equal(seen.points.at(-1), null, 'nobody looked for a while');
  seen = traffic.look(seen, { ...statistics(21, 19), uptime_seconds: 17 }, 5_000);
  assert.deepEqual(
    seen.points.map((point) => point?.queries),
    [1],
    'what is old goes',
  );
});

test('messages stand for queries where no block counts', () => {
  assert.equal(traffic.total({ ...statistics(1, 7), counted: false }), 12);
});

test('a quantile lies within the bounds of its part', () => {
  const bounds = [1, 2, 4];
  assert.equal(traffic.quantile(bounds, [0, 0, 0, 0], 0.5), null);
  assert.equal(traffic.quantile(bounds, [10, 0, 0, 0], 0.5), 0.5);
  assert.equal(traffic.quantile(bounds, [5, 5, 0, 0], 0.75), 1.5);
  assert.equal(traffic.quantile(bounds, [0, 0, 10, 0], 1), 4);
  assert.equal(traffic.quantile(bounds, [0, 0, 0, 3], 0.5), 4, 'above all bounds it is the last one');
});

test('means are over the whole time, and small ones go together', () => {
  const points = [
    { seconds: 1, types: { A: 10, AAAA: 4 } },
    { seconds: 3, types: { A: 2, MX: 1, TXT: 1 } },
  ];
  assert.deepEqual(
    traffic.means(points, (point) => point.types, 2),
    [
      ['A', 4],
      ['AAAA', 1],
      ['other', 1.5],
    ],
  );
  assert.deepEqual(
    traffic.means([], (point) => point.types, 2),
    [],
  );
});

test('scales are round and reach the largest value', () => {
  for (const [max, ticks] of [
    [0, [0, 1]],
    [1, [0, 0.25, 0.5, 0.75, 1]],
    [7, [0, 2, 4, 6, 8]],
    [1000, [0, 250, 500, 750, 1000]],
    [1234, [0, 500, 1000, 1500]],
  ]) {
    assert.deepEqual(traffic.scale(max), ticks, String(max));
  }
  for (let max = 0.001; max < 1e7; max *= 1.37) {
    const ticks = traffic.scale(max);
    assert.ok(ticks.at(-1) >= max * (1 - 1e-6) && ticks.length >= 3 && ticks.length <= 6, `${max}: ${ticks}`);
  }
});

test('numbers are short', () => {
  assert.deepEqual([0, 0.42, 9.96, 12.4, 3400, 123456, 1234567].map(traffic.rateText), [
    '0',
    '0.4',
    '10.0',
    '12',
    '3,400',
    '123 k',
    '1.2 M',
  ]);
  assert.deepEqual([null, 0, 5e-7, 3.1e-6, 0.042, 2].map(traffic.durationText), [
    '–',
    '0',
    '500 ns',
    '3.1 µs',
    '42 ms',
    '2.0 s',
  ]);
});
