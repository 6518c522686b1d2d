// Batches: one transaction, answered in order, visible at once.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { COLLECTION, Server, address, refused } from "./server.mjs";

let server, client, records;
before(async () => {
  server = await Server.start();
  client = await server.client();
  records = client.collection(COLLECTION);
});
after(() => server.stop());

test("a batch creates, upserts, updates and deletes", async () => {
  const old = await records.create(address("old"));
  const batch = client.createBatch();
  batch.collection(COLLECTION).create(address("a", { id: "4711" }));
  batch.collection(COLLECTION).upsert(address("a", { id: "4711", content: { ip: "192.0.2.2" } }));
  batch.collection(COLLECTION).upsert(address("b", { id: "4712" }));
  batch.collection(COLLECTION).update("4712", { ttl: 7 }, { fields: "id,ttl" });
  batch.collection(COLLECTION).delete(old.id);
  const answers = await batch.send();
  assert.deepEqual(answers.map((answer) => answer.status), [200, 200, 200, 200, 204]);
  assert.deepEqual([answers[0].body.content, answers[1].body.content], [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }]);
  assert.deepEqual([answers[3].body, answers[4].body], [{ id: "4712", ttl: 7 }, null]);
  assert.deepEqual(await server.resolve("a.example.org"), ["192.0.2.2"]);
  assert.deepEqual(await server.resolve("b.example.org"), ["192.0.2.1"]);
  assert.equal(await server.resolve("old.example.org"), "ENOTFOUND");
});

test("a batch that fails names the first fault and writes nothing", async () => {
  const before = (await records.getList()).totalItems;
  const batch = client.createBatch();
  batch.collection(COLLECTION).create(address("x"));
  batch.collection(COLLECTION).create(address("y", { content: { ip: "nowhere" } }));
  batch.collection(COLLECTION).delete("99");
  const error = await refused(batch.send());
  assert.deepEqual([error.status, error.response.message], [400, "Batch transaction failed."]);
  assert.deepEqual(Object.keys(error.response.data.requests), ["1"]);
  const { code, message, response } = error.response.data.requests["1"];
  assert.deepEqual([code, message], ["batch_request_failed", "Batch request failed."]);
  assert.deepEqual([response.status, response.message], [400, "Failed to create record."]);
  assert.equal(response.data.content.code, "validation_invalid_value");
  assert.equal((await records.getList()).totalItems, before);
  assert.equal(await server.resolve("x.example.org"), "ENOTFOUND");
});

test("a batch has 1 to 500 requests, and is not for guests", async () => {
  const batch = client.createBatch();
  for (let n = 0; n < 500; n++) batch.collection(COLLECTION).create(address(`w${n}`));
  assert.equal((await batch.send()).length, 500);
  assert.deepEqual(await server.resolve("w499.example.org"), ["192.0.2.1"]);
  batch.collection(COLLECTION).create(address("more"));
  const many = await refused(batch.send());
  assert.equal(many.response.data.requests.code, "validation_length_too_long");
  const none = await refused(client.createBatch().send());
  assert.equal(none.response.data.requests.code, "validation_required");
  const guest = server.guest().createBatch();
  guest.collection(COLLECTION).create(address("x"));
  const { response } = (await refused(guest.send())).response.data.requests["0"];
  assert.deepEqual([response.status, response.message], [403, "Only superusers can perform this action."]);
});
