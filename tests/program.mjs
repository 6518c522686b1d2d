// The real program, with a database of its own, on ports that the system chooses: what all suites under node start.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
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

/** A port that is free over UDP and TCP. */
async function freePort() {
  const socket = dgram.createSocket('udp4');
  await new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  const listener = net.createServer();
  const taken = await new Promise((resolve) => {
    listener.once('error', () => resolve(true));
    listener.listen(port, '127.0.0.1', () => resolve(false));
  });
  await new Promise((resolve) => socket.close(resolve));
  if (taken) return freePort();
  await new Promise((resolve) => listener.close(resolve));
  return port;
}

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
