import assert from 'node:assert/strict';
import test from 'node:test';
import { absolute, faultOfName, ipv6Groups, isIpv4, isWithin, labels, relative, reverseName, toAscii, toUnicode, zoneOf } from '../../../admin/console/logic/names.js';

test('names are relative to their zone and come back in full', () => {
  for (const [full, short] of [
    ['example.org.', '@'],
    ['www.example.org.', 'www'],
    ['a.b.example.org.', 'a.b'],
    ['*.example.org.', '*'],
    ['badexample.org.', 'badexample.org.'],
    ['host.example.net.', 'host.example.net.'],
  ]) {
    assert.equal(relative(full, 'example.org.'), short);
    assert.equal(absolute(short, 'example.org.'), full);
  }
  assert.equal(absolute('', 'Example.ORG.'), 'example.org.');
  assert.equal(absolute('.', 'example.org.'), '.');
  assert.equal(relative('org.', '.'), 'org');
  assert.equal(absolute('org', '.'), 'org.');
});

test('an escaped dot ends no label and no name', () => {
  assert.deepEqual(labels('a\\.b.example.'), ['a\\.b', 'example']);
  assert.equal(absolute('a\\.', 'example.org.'), 'a\\..example.org.');
});

test('internationalized names are shown in Unicode and sent in ASCII', () => {
  for (const [unicode, ascii] of [
    ['bücher.example.', 'xn--bcher-kva.example.'],
    ['日本語.example.', 'xn--wgv71a119e.example.'],
    ['_dmarc.straße.example.', '_dmarc.xn--strae-oqa.example.'],
    ['www.example.', 'www.example.'],
  ]) {
    assert.equal(toAscii(unicode), ascii);
    assert.equal(toUnicode(ascii), unicode);
  }
  assert.equal(toAscii('例。example'), 'xn--fsq.example');
  // What an address would end at, or take for a number, stays to be refused.
  for (const name of ['bü/x', 'bü#x', '１２']) assert.equal(toAscii(name), name);
  // No Punycode, or not the one that the letters give: shown as it is.
  for (const name of ['xn--a-.example.', 'xn--99999999.example.', 'xn--BCHER-.example.']) assert.equal(toUnicode(name), name);
});

test('what is no name is told', () => {
  for (const good of ['@', '.', 'www', '*', '_sip._tcp', 'a.b.c.', 'bücher', 'a\\.b', 'x'.repeat(63)]) assert.equal(faultOfName(good), '', good);
  for (const bad of ['', 'a b', 'a..b', '.a', 'x'.repeat(64), `${'abcdefg.'.repeat(32)}x`]) assert.notEqual(faultOfName(bad), '', bad);
  assert.notEqual(faultOfName('a$b', { isHost: true }), '');
  assert.notEqual(faultOfName('*.example.org.', { isWildcard: false }), '');
});

test('addresses are told from what looks like them', () => {
  for (const good of ['0.0.0.0', '192.0.2.255']) assert.ok(isIpv4(good), good);
  for (const bad of ['192.0.2', '192.0.2.256', '192.0.2.01', '192.0.2.1.', 'a']) assert.ok(!isIpv4(bad), bad);
  for (const good of ['::', '::1', '2001:db8::', '1:2:3:4:5:6:7:8', '::ffff:192.0.2.1', '1::8']) assert.ok(ipv6Groups(good), good);
  for (const bad of ['', ':', ':::', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1::2::3', '12345::', '1:2:3:4:5:6:7::8', '::192.0.2.300']) assert.equal(ipv6Groups(bad), null, bad);
});

test('an address is found backwards in the longest zone', () => {
  assert.equal(reverseName('192.0.2.7'), '7.2.0.192.in-addr.arpa.');
  assert.equal(reverseName('2001:db8::7'), '7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.');
  assert.equal(reverseName('www'), null);
  assert.equal(zoneOf('7.2.0.192.in-addr.arpa.', ['192.in-addr.arpa.', '2.0.192.in-addr.arpa.', '22.0.192.in-addr.arpa.']), '2.0.192.in-addr.arpa.');
  assert.equal(zoneOf('7.2.0.192.in-addr.arpa.', ['example.org.']), undefined);
  assert.ok(isWithin('WWW.Example.org.', 'example.ORG'));
});
