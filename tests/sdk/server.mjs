// The program, and the official SDK as its client.

import assert from "node:assert/strict";
import dns from "node:dns/promises";
import { EventSource } from "eventsource";
import PocketBase from "pocketbase";
import { EMAIL, PASSWORD, Program, until } from "../program.mjs";

export { EMAIL, PASSWORD, until };

// Node has none of its own; the SDK expects it among the globals.
globalThis.EventSource = EventSource;

export const COLLECTION = "coredns_records";

export class Server extends Program {
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
    const resolver = new dns.Resolver({ timeout: 20_000, tries: 1 });
    resolver.setServers([`127.0.0.1:${this.dnsPort}`]);
    return resolver.resolve(name, type).catch((error) => error.code);
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
