// Records: every call of the collection service, and each write is answered over DNS by the next query.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { ClientResponseError } from "pocketbase";
import { COLLECTION, Server, address, refused } from "./server.mjs";

let server, client, records;
before(async () => {
  server = await Server.start();
  client = await server.client();
  records = client.collection(COLLECTION);
});
after(() => server.stop());
beforeEach(async () => {
  for (const record of await records.getFullList()) await records.delete(record.id);
});

test("a record is created, read, changed and deleted, and DNS follows at once", async () => {
  const made = await records.create(address("www"));
  assert.deepEqual(Object.keys(made).sort(), [
    "collectionId",
    "collectionName",
    "content",
    "created",
    "id",
    "name",
    "record_type",
    "ttl",
    "updated",
    "zone",
  ]);
  assert.match(made.id, /^[1-9][0-9]{17}$/);
  assert.deepEqual([made.collectionId, made.collectionName], ["pbc_186858105", COLLECTION]);
  assert.deepEqual(await server.resolve("www.example.org"), ["192.0.2.1"]);
  assert.deepEqual(await records.getOne(made.id), made);
  assert.deepEqual(await client.collection("pbc_186858105").getOne(made.id), made);
  const changed = await records.update(made.id, { content: { ip: "192.0.2.2" }, "ttl+": 5 });
  assert.deepEqual([changed.ttl, changed.content, changed.created], [65, { ip: "192.0.2.2" }, made.created]);
  assert.deepEqual(await server.resolve("www.example.org"), ["192.0.2.2"]);
  assert.equal((await records.update(made.id, { "ttl-": 60 })).ttl, 5);
  assert.equal(await records.delete(made.id), true);
  assert.equal(await server.resolve("www.example.org"), "EREFUSED");
  assert.equal((await refused(records.getOne(made.id))).status, 404);
});

test("each type of content is answered over DNS", async () => {
  for (const [name, record_type, content, expected] of [
    ["aaaa", "AAAA", { ip: "2001:db8::1" }, ["2001:db8::1"]],
    ["txt", "TXT", { text: "hello world" }, [["hello world"]]],
    ["cname", "CNAME", { host: "www.example.net.", zone: "example.net." }, ["www.example.net"]],
    ["mx", "MX", { host: "mail.example.net.", preference: 10 }, [{ exchange: "mail.example.net", priority: 10 }]],
    [
      "_sip._tcp",
      "SRV",
      { priority: 1, weight: 2, port: 5060, target: "sip.example.net." },
      [{ name: "sip.example.net", port: 5060, priority: 1, weight: 2 }],
    ],
    ["caa", "CAA", { flag: 0, tag: "issue", value: "ca.example.net" }, [{ critical: 0, issue: "ca.example.net" }]],
  ]) {
    await records.create({ zone: "example.org.", name, record_type, ttl: 60, content });
    assert.deepEqual(await server.resolve(`${name}.example.org`, record_type), expected, record_type);
  }
  const content = { ns: "ns1.example.org.", mbox: "h.example.org.", refresh: 1, retry: 2, expire: 3, minttl: 4 };
  await records.create({ zone: "example.org.", name: "@", record_type: "SOA", ttl: 60, content });
  const { serial, ...soa } = await server.resolve("example.org", "SOA");
  assert.ok(serial > 0);
  assert.deepEqual(soa, { nsname: "ns1.example.org", hostmaster: "h.example.org", refresh: 1, retry: 2, expire: 3, minttl: 4 });
});

test("lists have pages, an order, a filter and chosen fields", async () => {
  for (let n = 0; n < 25; n++) {
    await records.create(address(`w${String(n).padStart(2, "0")}`, { ttl: n, content: { ip: `192.0.2.${n}` } }));
  }
  const page = await records.getList(2, 10);
  assert.deepEqual([page.page, page.perPage, page.totalItems, page.totalPages], [2, 10, 25, 3]);
  assert.deepEqual(page.items.map((record) => record.ttl), [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  const skipped = await records.getList(1, 5, { skipTotal: true, sort: "-ttl" });
  assert.deepEqual([skipped.totalItems, skipped.totalPages, skipped.items[0].ttl], [-1, -1, 24]);
  const chosen = await records.getList(1, 2, { fields: "name,content.ip", sort: "-content.ip" });
  assert.deepEqual(chosen.items[0], { name: "w09", content: { ip: "192.0.2.9" } });
  assert.equal((await records.getFullList()).length, 25);
  assert.equal((await records.getFullList({ batch: 7, sort: "@rowid" })).length, 25);
  const cut = await records.getFullList({ fields: "zone:excerpt(3,true)", filter: "ttl < 1" });
  assert.deepEqual(cut, [{ zone: "exa..." }]);
  const first = await records.getFirstListItem("ttl > 3 && ttl < 6", { sort: "-name" });
  assert.equal(first.name, "w05");
  const none = await refused(records.getFirstListItem("name = 'nobody'"));
  assert.ok(none instanceof ClientResponseError);
  assert.equal(none.status, 404);
});

test("filters take the placeholders of the SDK", async () => {
  await records.create(address("quoted", { id: "4711" }));
  const text = "a \"b\" 'c' %_";
  await records.create({ zone: "example.org.", name: "t", record_type: "TXT", ttl: 300, content: { text } });
  const since = new Date(Date.now() - 60_000);
  for (const [filter, params, names] of [
    ["name = {:name}", { name: "quoted" }, ["quoted"]],
    ["id = {:id}", { id: "4711" }, ["quoted"]],
    ["id = {:id}", { id: 4711 }, []],
    ["content.text = {:text}", { text }, ["t"]],
    ["ttl >= {:ttl} && record_type = {:type}", { ttl: 300, type: "TXT" }, ["t"]],
    ["created > {:since}", { since }, ["quoted", "t"]],
    ["created < {:since}", { since }, []],
    ["content.nothing = {:none}", { none: null }, ["quoted", "t"]],
    ["name ~ {:part} || {:yes} = false", { part: "QUOT", yes: true }, ["quoted"]],
    ["name:lower ?= {:name} // a comment", { name: "t" }, ["t"]],
  ]) {
    const found = await records.getFullList({ filter: client.filter(filter, params), sort: "@rowid" });
    assert.deepEqual(found.map((record) => record.name), names, filter);
  }
});

test("bodies come as objects, and as forms", async () => {
  const form = new FormData();
  for (const [name, value] of Object.entries({ zone: "example.org.", name: "form", record_type: "A", ttl: "60" })) {
    form.append(name, value);
  }
  form.append("content", '{"ip":"192.0.2.8"}');
  const made = await records.create(form);
  assert.deepEqual([made.ttl, made.content], [60, { ip: "192.0.2.8" }]);
  assert.deepEqual(await server.resolve("form.example.org"), ["192.0.2.8"]);
  const payload = new FormData();
  payload.append("@jsonPayload", JSON.stringify({ ttl: 61 }));
  assert.equal((await records.update(made.id, payload)).ttl, 61);
});

test("what does not fit is an error object that names the field", async () => {
  const made = await records.create(address("www", { id: "100" }));
  for (const [call, status, message, field, code] of [
    [() => records.create({}), 400, "Failed to create record.", "zone", "validation_required"],
    [() => records.create(address("x", { id: "100" })), 400, "Failed to create record.", "id", "validation_pk_invalid"],
    [() => records.create(address("x", { id: "0x" })), 400, "Failed to create record.", "id", "validation_invalid_format"],
    [() => records.create(address("x", { ttl: 1.5 })), 400, "Failed to create record.", "ttl", "validation_only_int_constraint"],
    [
      () => records.create(address("x", { content: { ip: "192.0.2.256" } })),
      400,
      "Failed to create record.",
      "content",
      "validation_invalid_value",
    ],
    [() => records.create(address("x.example.net.")), 400, "Failed to create record.", "name", "validation_invalid_value"],
    [() => records.create(address("z".repeat(5001))), 400, "Failed to create record.", "name", "validation_max_text_constraint"],
    [() => records.update(made.id, { id: "101" }), 400, "Failed to update record.", "id", "validation_pk_change"],
    [() => records.update("99", {}), 404, "The requested resource wasn't found."],
    [() => records.delete("99"), 404, "The requested resource wasn't found."],
    [() => client.collection("nope").getList(), 404, "Missing collection context."],
    [() => records.getList(1, 30, { filter: "name =" }), 400, "Something went wrong while processing your request."],
    [() => records.getList(1, 30, { sort: "nope" }), 400, "Something went wrong while processing your request."],
    [() => server.guest().collection(COLLECTION).create(address("x")), 403, "Only superusers can perform this action."],
    [() => server.guest().collections.getList(), 401, "The request requires valid record authorization token."],
    [() => client.send("/api/nope", {}), 404, "The requested resource wasn't found."],
  ]) {
    const error = await refused(call());
    assert.ok(error instanceof ClientResponseError);
    assert.deepEqual([error.status, error.response.status, error.response.message], [status, status, message]);
    if (field) assert.equal(error.response.data[field]?.code, code, JSON.stringify(error.response));
    else assert.deepEqual(error.response.data, {});
  }
  assert.equal((await records.getList()).totalItems, 1);
  const other = server.guest();
  other.autoCancellation(true);
  const aborted = refused(other.collection(COLLECTION).getList(1, 30, { requestKey: "key" }));
  other.cancelRequest("key");
  assert.equal((await aborted).isAbort, true);
});

test("collections and health are told", async () => {
  const all = await client.collections.getFullList();
  assert.deepEqual(all.map((collection) => collection.name).sort(), ["_superusers", COLLECTION]);
  const found = await client.collections.getFirstListItem("type = 'base'");
  assert.deepEqual([found.name, found.system, found.listRule], [COLLECTION, false, null]);
  assert.deepEqual(await client.collections.getOne(COLLECTION), found);
  assert.deepEqual(await client.collections.getOne("pbc_186858105"), found);
  const list = await client.collection("_superusers").getList();
  assert.deepEqual([list.totalItems, list.items[0].id], [1, client.authStore.record.id]);
  const health = await server.guest().health.check();
  assert.deepEqual(health, { code: 200, message: "API is healthy.", data: {} });
  assert.equal((await client.health.check()).data.realIP, "127.0.0.1");
});
