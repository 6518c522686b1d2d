// The real program, with a database of its own, on ports that the system chooses.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import dgram from "node:dgram";
import dns from "node:dns/promises";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { EventSource } from "eventsource";
import PocketBase from "pocketbase";

// Node has none of its own; the SDK expects it among the globals.
globalThis.EventSource = EventSource;

export const EMAIL = "admin@example.org";
export const PASSWORD = "correct-horse";
export const COLLECTION = "coredns_records";

export class Server {
  // Starts with an empty database and waits until it answers.
  static async start() {
    const program = process.env.ZONDA;
    assert.ok(program, "the variable ZONDA has to name the program");
    const server = new Server();
    server.program = path.resolve(program);
    server.folder = fs.mkdtempSync(path.join(os.tmpdir(), "zonda-sdk-"));
    server.dnsPort = await freePort();
    server.httpPort = await freePort();
    server.url = `http://127.0.0.1:${server.httpPort}`;
    server.password = PASSWORD;
    await server.run();
    return server;
  }

  async run() {
    const corefile = path.join(this.folder, "Corefile");
    fs.writeFileSync(
      corefile,
      `.:${this.dnsPort} {
    bind 127.0.0.1
    pocketbase {
        listen 127.0.0.1:${this.httpPort}
        data_dir ${path.join(this.folder, "data")}
        su_email ${EMAIL}
        su_password ${this.password}
        default_ttl 77
    }
    errors
}
`,
    );
    this.log = "";
    this.child = spawn(this.program, ["-conf", corefile], { stdio: ["ignore", "pipe", "pipe"] });
    const keep = (text) => (this.log += text);
    this.child.stdout.on("data", keep);
    this.child.stderr.on("data", keep);
    await until("it serves", async () => {
      assert.equal(this.child.exitCode, null, this.log);
      return fetch(`${this.url}/api/health`).then((answer) => answer.ok, () => false);
    });
  }

  // Ends the program as an operator does, or at once.
  async end(signal = "SIGTERM") {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill(signal);
    await ended;
  }

  async stop() {
    await this.end();
    fs.rmSync(this.folder, { recursive: true });
  }

  // A client that nobody has logged in.
  guest() {
    const client = new PocketBase(this.url);
    // Two equal requests at a time are what the tests mean.
    client.autoCancellation(false);
    return client;
  }

  // A client of the superuser.
  async client() {
    const client = this.guest();
    await client.collection("_superusers").authWithPassword(EMAIL, this.password);
    return client;
  }

  // The addresses of a name, or the code of the error.
  async resolve(name, type = "A") {
    const resolver = new dns.Resolver({ timeout: 5000, tries: 1 });
    resolver.setServers([`127.0.0.1:${this.dnsPort}`]);
    return resolver.resolve(name, type).catch((error) => error.code);
  }
}

// A port that is free over UDP and TCP.
async function freePort() {
  const socket = dgram.createSocket("udp4");
  await new Promise((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  const listener = net.createServer();
  const taken = await new Promise((resolve) => {
    listener.once("error", () => resolve(true));
    listener.listen(port, "127.0.0.1", () => resolve(false));
  });
  await new Promise((resolve) => socket.close(resolve));
  if (taken) return freePort();
  await new Promise((resolve) => listener.close(resolve));
  return port;
}

// Waits for a condition.
export async function until(what, condition, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `in vain: ${what}`);
    await pause(10);
  }
}

// The fields of an address record.
export function address(name, more = {}) {
  return { zone: "example.org.", name, record_type: "A", ttl: 60, content: { ip: "192.0.2.1" }, ...more };
}

// The error that a call has to end with.
export async function refused(promise) {
  return promise.then(
    (value) => assert.fail(`not refused: ${JSON.stringify(value)}`),
    (error) => error,
  );
}
