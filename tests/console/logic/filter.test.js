import assert from 'node:assert/strict';
import test from 'node:test';
import { parse } from '../../../admin/console/logic/filter.js';
import { guessZone } from '../../../admin/console/logic/zonefile.js';

test('a filter has words, and parts with a name', () => {
  assert.deepEqual(parse(''), {});
  assert.deepEqual(parse(' www '), { search: 'www' });
  assert.deepEqual(parse('type:mx mail'), { type: 'MX', search: 'mail' });
  assert.deepEqual(parse('name:bücher content:192.0.2.'), { name: 'xn--bcher-kva', content: '192.0.2.' });
  assert.deepEqual(parse('type: v=spf1 -all'), { search: 'v=spf1 -all' });
});

test('a zone file tells its zone by its SOA record, its $ORIGIN or its name', () => {
  assert.equal(guessZone('$ORIGIN example.org.\n@ 1h SOA ns1 hostmaster 1 2 3 4 5'), 'example.org.');
  assert.equal(guessZone('$TTL 1h\nexample.net. 3600 IN SOA ns1 hostmaster 1 2 3 4 5'), 'example.net.');
  assert.equal(guessZone('@ SOA ns1 hostmaster 1 2 3 4 5', 'db.example.org'), 'example.org');
  assert.equal(guessZone('@ SOA ns1 hostmaster 1 2 3 4 5', 'example.org.zone'), 'example.org');
  assert.equal(guessZone('@ SOA ns1 hostmaster 1 2 3 4 5', 'zonefile'), '');
});
