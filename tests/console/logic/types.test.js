import assert from 'node:assert/strict';
import test from 'node:test';
import { blank, doubts, faultOfTtl, faults, fieldOfMessage, fieldsOf, print, read, seconds, show, TYPES } from '../../../admin/console/logic/types.js';

const ZONE = 'example.org.';

test('data goes into the form and comes out the same', () => {
  for (const [type, content] of [
    ['A', '192.0.2.1'],
    ['AAAA', '2001:db8::1'],
    ['CNAME', 'host.example.net.'],
    ['MX', '10 mail.example.org.'],
    ['TXT', '"v=spf1 -all"'],
    ['TXT', '"a \\"quoted\\" word \\\\ and \\195\\188"'],
    ['TXT', `"${'a'.repeat(255)}" "${'b'.repeat(3)}"`],
    ['TXT', '""'],
    ['SRV', '0 5 5060 sip.example.org.'],
    ['CAA', '0 issue "letsencrypt.org"'],
    ['HTTPS', '1 . alpn=h2,h3 port=8443'],
    ['SVCB', '0 svc.example.net.'],
    ['SVCB', '1 . alpn=h2 ipv4hint=192.0.2.1,192.0.2.2 no-default-alpn key65400="a b"'],
    ['DS', '60485 13 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A'],
    ['TLSA', '3 1 1 00FF'],
    ['SSHFP', '4 2 00FF'],
    ['NAPTR', '100 10 "S" "SIP+D2U" "" _sip._udp.example.org.'],
    ['LOC', '52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m'],
    ['TYPE65280', '\\# 2 00FF'],
    ['URI', '10 1 "https://example.org/"'],
  ]) {
    const values = read(type, content);
    assert.ok(values, `${type} ${content}`);
    assert.deepEqual(faults(type, values), {}, `${type} ${content}`);
    assert.equal(print(type, values, ZONE), content);
  }
});

test('what is typed becomes data: names in full and in ASCII, texts in strings of 255 octets', () => {
  assert.equal(print('MX', { preference: '10', exchange: 'mail' }, ZONE), '10 mail.example.org.');
  assert.equal(print('CNAME', { target: 'bücher.example.' }, ZONE), 'xn--bcher-kva.example.');
  assert.equal(print('TXT', { text: 'ü' }, ZONE), '"\\195\\188"');
  assert.equal(print('TXT', { text: 'x'.repeat(256) }, ZONE), `"${'x'.repeat(255)}" "x"`);
  assert.equal(print('DS', { tag: '1', algorithm: '8', digestType: '2', digest: '00 FF' }, ZONE), '1 8 2 00FF');
});

test('texts are shown as UTF-8, and octets that are none as decimals', () => {
  assert.equal(read('TXT', '"gr\\195\\188ner"').text, 'grüner');
  const long = `"${'x'.repeat(255)}" "y"`;
  assert.equal(print('TXT', read('TXT', long), ZONE), long);
  // Strings that stand for themselves (RFC 6763) are edited as they are.
  assert.equal(read('TXT', '"txtvers=1" "path=/"'), null);
  assert.equal(read('TXT', '"\\255\\000"').text, '\\255\\000');
});

test('faults are told at their field', () => {
  for (const [type, values, wrong] of [
    ['A', { address: '192.0.2.256' }, 'address'],
    ['A', { address: '2001:db8::1' }, 'address'],
    ['AAAA', { address: '192.0.2.1' }, 'address'],
    ['CNAME', { target: 'a b' }, 'target'],
    ['NS', { target: '192.0.2.1' }, 'target'],
    ['MX', { preference: '65536', exchange: 'mail' }, 'preference'],
    ['SRV', { priority: '0', weight: '0', port: '', target: 'a' }, 'port'],
    ['DS', { tag: '1', algorithm: '8', digestType: '2', digest: 'ABC' }, 'digest'],
    ['TLSA', { usage: '3', selector: '1', matching: '1', data: 'XY' }, 'data'],
    ['HTTPS', { priority: '1', target: '.', port: 'http' }, 'port'],
    ['HTTPS', { priority: '1', target: '.', params: 'alpn=h2 alpn=h3' }, 'params'],
    ['HTTPS', { priority: '1', target: '.', params: 'alpn="h2' }, 'params'],
    ['SVCB', { priority: '1', target: '.', ipv4hint: '2001:db8::1' }, 'ipv4hint'],
    ['URI', { data: '10 1 "https://' }, 'data'],
    ['LOC', { data: ' ' }, 'data'],
  ]) {
    assert.deepEqual(Object.keys(faults(type, values)), [wrong], `${type} ${JSON.stringify(values)}`);
  }
});

test('a target that looks full but has no final dot is doubtful', () => {
  assert.match(doubts('CNAME', { target: 'www.example.net' }, ZONE).target, /www\.example\.net\.example\.org\./);
  assert.deepEqual(doubts('CNAME', { target: 'www.example.net.' }, ZONE), {});
  assert.deepEqual(doubts('CNAME', { target: 'www' }, ZONE), {});
});

test('data that has not the form of its type is edited as text', () => {
  assert.equal(read('MX', '10'), null);
  assert.equal(read('A', '\\# 4 C0000201'), null);
});

test('a new form begins with sound choices', () => {
  for (const type of Object.keys(TYPES)) {
    const start = blank(type);
    assert.deepEqual(Object.keys(start), fieldsOf(type).map(({ name }) => name));
    for (const { name, options } of fieldsOf(type)) if (options) assert.ok(options.some(([value]) => value === start[name]), `${type} ${name}`);
  }
});

test('names in data are shown in Unicode', () => {
  assert.equal(show('MX', '10 xn--bcher-kva.example.'), '10 bücher.example.');
  assert.equal(show('TXT', '"xn--bcher-kva"'), '"xn--bcher-kva"');
});

test('TTLs are seconds or have units', () => {
  for (const [text, value] of [['300', 300], ['5m', 300], ['1h30m', 5400], ['1d', 86_400], ['1w', 604_800]]) assert.equal(seconds(text), value);
  for (const text of ['-1', '1.5', 'm', '2147483648', '5x']) assert.notEqual(faultOfTtl(text), '', text);
  assert.equal(faultOfTtl(''), '');
});

test('the words of the server go to the field that they name', () => {
  assert.equal(fieldOfMessage('MX', 'MX preference: a number up to 65535 is expected (found `ten`).'), 'preference');
  assert.equal(fieldOfMessage('DS', 'DS digest type: a number is expected.'), 'digestType');
  assert.equal(fieldOfMessage('A', 'A ip: an IPv4 address is expected.'), 'address');
});
