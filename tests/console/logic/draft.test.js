import assert from 'node:assert/strict';
import test from 'node:test';
import { conflicts, diff, empty, faultsOf, keyOf, rebase, size, stage, tableOf, toChanges, unstage, valueOf } from '../../../admin/console/logic/draft.js';

const WWW = { name: 'www.example.org.', type: 'A' };
const value = (ttl, ...contents) => ({ ttl, contents });
const rrset = (place, ttl, ...contents) => ({ ...place, ttl, records: contents.map((content) => ({ content })) });

test('edits of one RRset become one, against what it was at first', () => {
  const before = value(60, '192.0.2.1');
  let draft = stage(empty(), 7, WWW, before, value(60, '192.0.2.1', '192.0.2.2'));
  draft = stage(draft, 8, WWW, value(60, '192.0.2.1', '192.0.2.2'), value(60, '192.0.2.2'));
  assert.equal(draft.serial, 7);
  assert.equal(size(draft), 1);
  assert.deepEqual(draft.edits[keyOf(WWW)], { ...WWW, before, after: value(60, '192.0.2.2') });
});

test('what ends as it was is no edit', () => {
  const before = value(60, '192.0.2.1', '192.0.2.2');
  const draft = stage(empty(), 7, WWW, before, value(60, '192.0.2.2'));
  assert.deepEqual(stage(draft, 7, WWW, before, value(60, '192.0.2.2', '192.0.2.1')), empty());
  assert.deepEqual(unstage(draft, keyOf(WWW)), empty());
});

test('an RRset without records is deleted, and a record is there once', () => {
  let draft = stage(empty(), 7, WWW, value(60, '192.0.2.1'), value(60));
  draft = stage(draft, 7, { name: 'New.example.org', type: 'txt' }, null, value(null, '"a"', '"a"'));
  draft = stage(draft, 7, { zone: '2.0.192.in-addr.arpa.', name: '1.2.0.192.in-addr.arpa.', type: 'PTR' }, null, value(300, 'www.example.org.'));
  assert.deepEqual(toChanges(draft), [
    { op: 'delete', ...WWW },
    { op: 'replace', name: 'new.example.org.', type: 'TXT', records: [{ content: '"a"' }] },
    { op: 'replace', zone: '2.0.192.in-addr.arpa.', name: '1.2.0.192.in-addr.arpa.', type: 'PTR', ttl: 300, records: [{ content: 'www.example.org.' }] },
  ]);
});

test('the table shows edits in their places, and those that are elsewhere first', () => {
  const served = [rrset(WWW, 60, '192.0.2.1', '192.0.2.2'), rrset({ name: 'x.example.org.', type: 'A' }, 60, '192.0.2.9')];
  let draft = stage(empty(), 7, WWW, valueOf(served[0]), value(60, '192.0.2.2', '192.0.2.3'));
  draft = stage(draft, 7, { name: 'x.example.org.', type: 'A' }, valueOf(served[1]), value(90, '192.0.2.9'));
  draft = stage(draft, 7, { name: 'y.example.org.', type: 'A' }, null, value(60, '192.0.2.4'));
  const { staged, rows } = tableOf(served, draft);
  const states = (list) => list.map(({ content, ttl, state }) => `${content} ${ttl} ${state}`);
  assert.deepEqual(states(staged), ['192.0.2.4 60 new']);
  assert.deepEqual(states(rows), ['192.0.2.1 60 gone', '192.0.2.2 60 same', '192.0.2.3 60 new', '192.0.2.9 90 changed']);
});

test('a diff shows records, and all of them where the TTL changes', () => {
  const lines = (before, after) => diff(before, after).map(({ sign, ttl, content }) => `${sign}${ttl} ${content}`);
  assert.deepEqual(lines(value(60, 'a', 'b'), value(60, 'b', 'c')), [' 60 b', '-60 a', '+60 c']);
  assert.deepEqual(lines(value(60, 'a'), value(90, 'a')), ['-60 a', '+90 a']);
  assert.deepEqual(lines(null, value(60, 'a')), ['+60 a']);
  assert.deepEqual(lines(value(60, 'a'), null), ['-60 a']);
});

test('an edit of what somebody else has changed is a conflict, and is not made unless one says so', () => {
  const other = { name: 'x.example.org.', type: 'A' };
  let draft = stage(empty(), 7, WWW, value(60, 'a'), value(60, 'b'));
  draft = stage(draft, 7, other, value(60, 'm'), value(60, 'n'));
  const served = new Map([[keyOf(WWW), value(60, 'c')], [keyOf(other), value(60, 'm')]]);
  assert.deepEqual(conflicts(draft, served).map(({ key, theirs }) => [key, theirs]), [[keyOf(WWW), value(60, 'c')]]);
  const given = rebase(draft, 9, served, new Set());
  assert.deepEqual([given.serial, Object.keys(given.edits)], [9, [keyOf(other)]]);
  const kept = rebase(draft, 9, served, new Set([keyOf(WWW)]));
  assert.deepEqual(kept.edits[keyOf(WWW)], { zone: undefined, ...WWW, before: value(60, 'c'), after: value(60, 'b') });
});

test('what somebody else has done already is no conflict and no edit any more', () => {
  const draft = stage(empty(), 7, WWW, value(60, 'a'), value(60, 'b'));
  const served = new Map([[keyOf(WWW), value(60, 'b')]]);
  assert.deepEqual(conflicts(draft, served), []);
  assert.deepEqual(rebase(draft, 9, served, new Set()), empty());
});

test('the words of the server are shown at the edit that they are about', () => {
  let draft = stage(empty(), 7, WWW, null, value(60, 'nonsense'));
  draft = stage(draft, 7, { name: 'gone.example.org.', type: 'A' }, value(60, 'a'), null);
  // What is deleted is sent first.
  assert.deepEqual(faultsOf(draft, { 'changes[1].records[0].content': { message: 'No.' }, body: { message: 'Odd.' } }), [
    { key: keyOf(WWW), message: 'No.' },
    { key: null, message: 'Odd.' },
  ]);
});
