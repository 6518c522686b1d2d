// The real program, with a database of its own, on ports that are free: what all suites under node start.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const EMAIL = 'admin@example.org';
export const PASSWORD = 'correct-horse';

/** A program that serves zones. */
export class Program {
  /** Starts with an empty database and waits until it answers; without `password` the default one is in use. */
  static async start({ password = PASSWORD } = {}) {
    const program = new this();
    program.path = path.resolve(process.env.ZONDA_BIN ?? path.join(ROOT, 'target/release/zonda'));
    assert.ok(fs.existsSync(program.path), `there is no program at ${program.path}`);
    program.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'zonda-node-'));
    program.password = password;
    program.dnsPort = await freePort();
    program.httpPort = await freePort();
    program.metricsPort = await freePort();
    program.url = `http://127.0.0.1:${program.httpPort}`;
    await program.run();
    return program;
  }

  /** Writes the configuration and starts the program. */
  async run() {
    const corefile = path.join(this.folder, 'Corefile');
    const account = this.password ? `su_email ${EMAIL}\n        su_password ${this.password}` : '';
    fs.writeFileSync(
      corefile,
      `.:${this.dnsPort} {
    bind 127.0.0.1
    prometheus 127.0.0.1:${this.metricsPort}
    pocketbase {
        listen 127.0.0.1:${this.httpPort}
        data_dir ${path.join(this.folder, 'data')}
        default_ttl 300
        ${account}
    }
    errors
}
`,
    );
    this.log = '';
    this.child = spawn(this.path, ['-conf', corefile], { stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (text) => (this.log += text);
    this.child.stdout.on('data', keep);
    this.child.stderr.on('data', keep);
    await until('it serves', async () => {
      assert.equal(this.child.exitCode, null, this.log);
      return fetch(`${this.url}/api/health`).then(
        (answer) => answer.ok,
        () => false,
      );
    });
  }

  /** Ends the program as an operator does, or at once. */
  async end(signal = 'SIGTERM') {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill(signal);
    await ended;
  }

  /** Ends it and removes what it has written. */
  async stop() {
    await this.end();
    fs.rmSync(this.folder, { recursive: true });
  }
}

/**
 * A port that is free over UDP and TCP. It is none of those that the system gives to clients (on Linux from 32,768 on):
 * until the program has it, any client on the machine could get such a one.
 */
async function freePort() {
  for (;;) {
    const port = randomInt(10_000, 30_000);
    if (port === BLOCKED || given.has(port)) continue;
    const socket = dgram.createSocket('udp4');
    const listener = net.createServer();
    const isFree =
      (await binds(socket, () => socket.bind(port, '127.0.0.1'))) &&
      (await binds(listener, () => listener.listen(port, '127.0.0.1')));
    for (const one of [socket, listener]) await new Promise((resolve) => one.close(resolve));
    if (!isFree) continue;
    given.add(port);
    return port;
  }
}

/** Whether what binds a socket succeeds. */
function binds(socket, bind) {
  return new Promise((resolve) => {
    socket.once('listening', () => resolve(true));
    socket.once('error', () => resolve(false));
    bind();
  });
}

/** Ports that have been given away, each to be used once. */
const given = new Set();

/** The one port of these that browsers and fetch refuse to ask (https://fetch.spec.whatwg.org/#bad-port). */
const BLOCKED = 10_080;

/** Waits for a condition. */
export async function until(what, condition, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `in vain: ${what}`);
    await pause(10);
  }
}

/** The top of the repository. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));
