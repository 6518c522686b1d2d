// Realtime: each write reaches its subscribers, over restarts of the server too.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { COLLECTION, Server, address, refused, until } from "./server.mjs";

let server, client, records;
before(async () => {
  server = await Server.start();
  client = await server.client();
  records = client.collection(COLLECTION);
});
after(async () => {
  await client.realtime.unsubscribe();
  await server.stop();
});

// Subscribes and gathers what comes.
async function subscribe(topic, options, by = client) {
  const events = [];
  const unsubscribe = await by.collection(COLLECTION).subscribe(
    topic,
    (event) => events.push({ ...event, at: performance.now() }),
    options,
  );
  const told = () => events.map((event) => `${event.action} ${event.record.name}`);
  return { events, told, unsubscribe, wait: (count) => until(`${count} events`, () => events.length >= count) };
}

test("all writes of a collection are told, and a deletion with the last state", async () => {
  const all = await subscribe("*");
  const made = await records.create(address("a"));
  const changed = await records.update(made.id, { ttl: 61 });
  const batch = client.createBatch();
  batch.collection(COLLECTION).create(address("b"));
  batch.collection(COLLECTION).delete(made.id);
  await batch.send();
  await all.wait(4);
  assert.deepEqual(all.told(), ["create a", "update a", "delete a", "create b"]);
  assert.deepEqual(all.events.slice(0, 3).map((event) => event.record), [made, changed, changed]);
  await all.unsubscribe();
  await records.create(address("unheard"));
  const again = await subscribe("*");
  await records.create(address("heard"));
  await again.wait(1);
  assert.deepEqual([all.told().length, again.told()], [4, ["create heard"]]);
  await again.unsubscribe();
});

test("one record, a filter and chosen fields", async () => {
  const made = await records.create(address("one"));
  const one = await subscribe(made.id);
  const chosen = await subscribe("*", { filter: 'content.ip = "192.0.2.9"', fields: "name,ttl" });
  await records.create(address("two"));
  await records.update(made.id, { content: { ip: "192.0.2.9" } });
  await records.delete(made.id);
  await one.wait(2);
  await chosen.wait(2);
  assert.deepEqual(one.told(), ["update one", "delete one"]);
  assert.deepEqual(chosen.events.map(({ action, record }) => [action, record]), [
    ["update", { name: "one", ttl: 60 }],
    ["delete", { name: "one", ttl: 60 }],
  ]);
  await records.unsubscribe();
});

test("changes through zone files are told, too", async () => {
  const all = await subscribe("*");
  const zone = `${server.url}/api/zonda/zones/example.net/zonefile`;
  const headers = { Authorization: client.authStore.token };
  const body = "@ 60 IN SOA ns1 h 1 2 3 4 5\n@ 60 IN NS ns1\nns1 60 IN A 192.0.2.1\n";
  assert.equal((await fetch(zone, { method: "PUT", headers, body })).status, 200);
  await all.wait(3);
  assert.deepEqual(all.events.map(({ action, record }) => `${action} ${record.record_type}`).sort(), [
    "create A",
    "create NS",
    "create SOA",
  ]);
  await all.unsubscribe();
});

test("a guest is told nothing, and a subscription keeps its identity", async () => {
  const guest = server.guest();
  const heard = await subscribe("*", {}, guest);
  const all = await subscribe("*");
  await records.create(address("secret"));
  await all.wait(1);
  assert.deepEqual(heard.told(), []);
  const body = { clientId: client.realtime.clientId, subscriptions: [] };
  const error = await refused(guest.send("/api/realtime", { method: "POST", body }));
  const message = "The current and the previous request authorization don't match.";
  assert.deepEqual([error.status, error.response.message], [403, message]);
  await guest.realtime.unsubscribe();
  await all.unsubscribe();
  const unknown = await refused(client.send("/api/realtime", { method: "POST", body: { clientId: "nobody" } }));
  assert.deepEqual([unknown.status, unknown.response.message], [404, "Missing or invalid client id."]);
});

test("a write is seen over DNS and by a subscriber right after", async () => {
  const all = await subscribe("*");
  const waits = { write: [], event: [], dns: [] };
  for (let n = 0; n < 100; n++) {
    const begun = performance.now();
    await records.create(address(`soon${n}`));
    const acknowledged = performance.now();
    assert.deepEqual(await server.resolve(`soon${n}.example.org`), ["192.0.2.1"]);
    const resolved = performance.now();
    await all.wait(n + 1);
    waits.write.push(acknowledged - begun);
    waits.dns.push(resolved - acknowledged);
    waits.event.push(all.events[n].at - acknowledged);
  }
  for (const [what, times] of Object.entries(waits)) {
    times.sort((a, b) => a - b);
    const [median, most] = [times[50], times[99]].map((time) => time.toFixed(1));
    console.log(`${what === "write" ? "write acknowledged" : `${what} after it`}: median ${median} ms, at most ${most} ms`);
  }
  // The goal is 50 ms; a machine that is busy with other things may take its time, and much of it once in a while.
  assert.ok(waits.event[50] < 500);
  await all.unsubscribe();
});

test("a subscriber comes back after a restart of the server", async () => {
  const all = await subscribe("*");
  const connections = [];
  await client.realtime.subscribe("PB_CONNECT", (event) => connections.push(event.clientId));
  const first = client.realtime.clientId;
  for (const signal of ["SIGTERM", "SIGKILL"]) {
    const known = connections.length;
    await server.end(signal);
    await until("the SDK notices", () => !client.realtime.isConnected);
    await server.run();
    // The SDK is connected before it has subscribed again; it calls this subscription when it has.
    await until("it is back and has subscribed", () => connections.length > known);
    const count = all.events.length;
    await records.create(address(`after-${signal.toLowerCase()}`));
    await all.wait(count + 1);
  }
  assert.deepEqual(all.told(), ["create after-sigterm", "create after-sigkill"]);
  assert.ok(connections.length >= 2 && !connections.includes(first), connections.join());
});
