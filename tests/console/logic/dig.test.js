import assert from 'node:assert/strict';
import test from 'node:test';
import { digCommand } from '../../../admin/console/logic/dig.js';

test('the command asks the server where it listens', () => {
  const www = { name: 'www.example.org.', type: 'A' };
  for (const [addresses, host, command] of [
    [['[::1]:1053', '127.0.0.1:1053'], 'localhost', 'dig @127.0.0.1 -p 1053 www.example.org. A'],
    [['[2001:db8::1]:53'], 'localhost', 'dig @2001:db8::1 www.example.org. A'],
    [['0.0.0.0:53'], 'dns.example.net', 'dig @dns.example.net www.example.org. A'],
    [['[::]:5300'], '[::1]', 'dig @::1 -p 5300 www.example.org. A'],
    [[], 'localhost', null],
  ]) {
    assert.equal(digCommand(addresses, host, www), command);
  }
});

test('a name that a shell would read as its own is quoted', () => {
  assert.equal(digCommand(['192.0.2.1:53'], '', { name: '*.dev.example.', type: 'A' }), "dig @192.0.2.1 '*.dev.example.' A");
  assert.equal(digCommand(['192.0.2.1:53'], '', { name: "o'c.example.", type: 'A' }), "dig @192.0.2.1 'o'\\''c.example.' A");
});
