// Two keys after each other are one.

import assert from 'node:assert/strict';
import test from 'node:test';
import { keyReader } from '../../../admin/console/logic/keys.js';

const ABLE = ['?', 'n', 'z', 'g z', 'g h', 'Ctrl+Enter'];

/** What is hit by keys that come at these milliseconds. */
function hits(...pressed) {
  const read = keyReader();
  return pressed.map(([name, at]) => read(name, at, ABLE));
}

test('keys are hit alone, and in pairs', () => {
  assert.deepEqual(hits(['n', 0], ['Ctrl+Enter', 1], ['h', 2]), ['n', 'Ctrl+Enter', undefined]);
  assert.deepEqual(hits(['g', 0], ['z', 1500], ['z', 1600]), [undefined, 'g z', 'z']);
  assert.deepEqual(hits(['g', 0], ['n', 10], ['h', 20]), [undefined, 'n', undefined]);
});

test('the first of two keys is forgotten after a while, counted from itself and from no other', () => {
  assert.deepEqual(hits(['g', 0], ['h', 1501]), [undefined, undefined]);
  // The time of an earlier first key ran on, and took the later one with it.
  assert.deepEqual(hits(['g', 0], ['z', 1000], ['g', 1400], ['h', 1600]), [undefined, 'g z', undefined, 'g h']);
});

test('a key that completes no pair may begin one', () => {
  assert.deepEqual(hits(['g', 0], ['g', 100], ['h', 200]), [undefined, undefined, 'g h']);
  assert.deepEqual(hits(['g', 0], ['g', 1400], ['h', 2800]), [undefined, undefined, 'g h']);
});
