// Server-sent events come in pieces that end anywhere.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventReader, patience } from '../../../admin/console/logic/events.js';

test('events are the same however their text is cut', () => {
  const text =
    'id:1\nevent:PB_CONNECT\ndata:{"a": 1}\n\n: beat\n\nevent: statistics\r\ndata: one\r\ndata: two\r\n\r\ndata\n\nevent: none\n\n';
  const wanted = [
    { event: 'PB_CONNECT', data: '{"a": 1}' },
    { event: 'statistics', data: 'one\ntwo' },
    { event: 'message', data: '' },
  ];
  for (let size = 1; size <= text.length; size++) {
    const read = eventReader();
    const events = [];
    for (let at = 0; at < text.length; at += size) events.push(...read(text.slice(at, at + size)));
    assert.deepEqual(events, wanted, `pieces of ${size}`);
  }
});

test('a lost connection is tried soon, and never less often than each five seconds', () => {
  assert.deepEqual([1, 2, 3, 4, 5, 6, 60].map(patience), [250, 500, 1000, 2000, 4000, 5000, 5000]);
});
