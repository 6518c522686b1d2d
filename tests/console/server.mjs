// The program as the console's tests use it: over its API, by dig, and under dnsperf.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { EMAIL, PASSWORD, Program, ROOT, until } from '../program.mjs';

export { EMAIL, PASSWORD, ROOT, until };

/** The program with what asks it. */
export class Server extends Program {
  /** A superuser's token. */
  async logIn() {
    const identity = this.password ? EMAIL : 'su@pocketbase.internal';
    const body = JSON.stringify({ identity, password: this.password || 'pwd@pocketbase.internal' });
    const headers = { 'Content-Type': 'application/json' };
    const answer = await fetch(`${this.url}/api/collections/_superusers/auth-with-password`, {
      method: 'POST',
      body,
      headers,
    });
    assert.equal(answer.status, 200);
    this.token = (await answer.json()).token;
    return this.token;
  }

  /** Calls the API; the answer's JSON, or its text. */
  async api(method, pathname, body, more = {}) {
    this.token ??= await this.logIn();
    const headers = { Authorization: this.token, 'Content-Type': 'application/json', ...more };
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const answer = await fetch(`${this.url}/api${pathname}`, { method, headers, body: text });
    const said = await answer.text();
    assert.ok(answer.ok, `${method} ${pathname}: ${answer.status} ${said}`);
    return answer.headers.get('content-type')?.includes('json') ? JSON.parse(said) : said;
  }

  /** What dig prints of an answer in short form, its lines in order. */
  async dig(name, type = 'A', ...more) {
    const asked = ['@127.0.0.1', '-p', this.dnsPort, '+short', '+time=10', '+tries=2', name, type, ...more];
    const { stdout } = await promisify(execFile)('dig', asked.map(String));
    return stdout.trim().split('\n').filter(Boolean).sort();
  }

  /** Puts queries for some names on the server, so many per second, until the load is ended. */
  load(names, rate) {
    const queries = path.join(this.folder, 'queries');
    fs.writeFileSync(queries, names.map(([name, type]) => `${name} ${type}\n`).join(''));
    const asked = ['-s', '127.0.0.1', '-p', this.dnsPort, '-d', queries, '-l', LOAD_MAX, '-Q', rate];
    this.loader = spawn('dnsperf', asked.map(String), { stdio: 'ignore' });
    this.loaded = new Promise((resolve, reject) => this.loader.once('exit', resolve).once('error', reject));
  }

  /** Ends the load, if there is one. */
  async endLoad() {
    this.loader?.kill();
    await this.loaded;
  }

  /** Ends the program and the load on it. */
  async stop() {
    await this.endLoad();
    await super.stop();
  }
}

/** Seconds after which a load ends by itself, should the test be gone. */
const LOAD_MAX = 300;
