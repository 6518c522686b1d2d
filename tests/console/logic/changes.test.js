// Changes without the noise of the serial.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counts, meant } from '../../../admin/console/logic/changes.js';

const soa = (serial, minimum = 300, ttl = 3600) => ({ ttl, content: `ns1.example.org. hostmaster.example.org. ${serial} 7200 3600 1209600 ${minimum}` });

test('the serial alone is no change that anybody meant', () => {
  const change = (before, after) => ({ name: 'example.org.', type: 'SOA', removed: [before], added: [after] });
  const www = { name: 'www.example.org.', type: 'A', removed: [], added: [{ ttl: null, content: '192.0.2.1' }] };
  assert.deepEqual(meant([change(soa(1), soa(2)), www]), [www]);
  for (const other of [change(soa(1), soa(2, 60)), change(soa(1), soa(2, 300, 60)), { ...change(soa(1), soa(2)), removed: [] }]) {
    assert.deepEqual(meant([other]), [other]);
  }
});

test('the SOA record is counted only where it is new or gone', () => {
  assert.deepEqual(counts({ from: 1, serial: 2, added: 2, removed: 1 }), { added: 1, removed: 0 });
  assert.deepEqual(counts({ from: null, serial: 1, added: 3, removed: 0 }), { added: 3, removed: 0 });
  assert.deepEqual(counts({ from: 1, serial: null, added: 0, removed: 3 }), { added: 0, removed: 3 });
});
