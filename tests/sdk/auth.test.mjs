// Logging in: the auth store, tokens and who they speak for.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ClientResponseError, getTokenPayload } from "pocketbase";
import { EMAIL, PASSWORD, Server, refused } from "./server.mjs";

let server;
before(async () => (server = await Server.start()));
after(() => server.stop());

test("a login fills the auth store with the superuser and a token of a day", async () => {
  const client = server.guest();
  const changes = [];
  client.authStore.onChange((token) => changes.push(token));
  assert.equal(client.authStore.isValid, false);
  const result = await client.collection("_superusers").authWithPassword(EMAIL, PASSWORD);
  assert.equal(client.authStore.token, result.token);
  assert.equal(client.authStore.isValid, true);
  assert.equal(client.authStore.isSuperuser, true);
  assert.deepEqual(client.authStore.record, result.record);
  assert.deepEqual(changes, [result.token]);
  const { record } = result;
  assert.match(record.id, /^[a-z0-9]{15}$/);
  assert.match(record.created, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z$/);
  const rest = { email: record.email, emailVisibility: record.emailVisibility, verified: record.verified };
  assert.deepEqual(rest, { email: EMAIL, emailVisibility: false, verified: true });
  assert.deepEqual([record.collectionId, record.collectionName], ["pbc_3142635823", "_superusers"]);
  assert.ok(!("password" in record) && !("tokenKey" in record));
  const payload = getTokenPayload(result.token);
  assert.deepEqual(
    [payload.collectionId, payload.id, payload.type, payload.refreshable],
    ["pbc_3142635823", record.id, "auth", true],
  );
  assert.ok(Math.abs(payload.exp - Date.now() / 1000 - 86_400) < 60);
  client.authStore.clear();
  assert.equal(client.authStore.isValid, false);
  const error = await refused(client.collection("coredns_records").getList());
  assert.equal(error.status, 403);
});

test("a token is refreshed, and one of impersonation stays as it is", async () => {
  const client = await server.client();
  const superusers = client.collection("_superusers");
  const refreshed = await superusers.authRefresh();
  assert.equal(refreshed.record.email, EMAIL);
  assert.equal(client.authStore.token, refreshed.token);
  const other = await superusers.impersonate(client.authStore.record.id, 120);
  assert.equal(other.authStore.isSuperuser, true);
  const payload = getTokenPayload(other.authStore.token);
  assert.equal(payload.refreshable, false);
  assert.ok(Math.abs(payload.exp - Date.now() / 1000 - 120) < 60);
  const token = other.authStore.token;
  assert.equal((await other.collection("_superusers").authRefresh()).token, token);
  assert.equal((await other.collection("coredns_records").getList()).totalItems, 0);
  assert.equal((await refused(superusers.impersonate("nobody", 1))).status, 404);
  assert.equal((await refused(server.guest().collection("_superusers").authRefresh())).status, 401);
});

test("a token that runs out is refreshed by the SDK itself", async () => {
  const client = server.guest();
  const sent = [];
  client.beforeSend = (url, options) => {
    sent.push(new URL(url).pathname);
    return { url, options };
  };
  const options = { autoRefreshThreshold: 2 * 86_400 };
  const first = await client.collection("_superusers").authWithPassword(EMAIL, PASSWORD, options);
  await client.collection("coredns_records").getList();
  assert.ok(sent.includes("/api/collections/_superusers/auth-refresh"), sent.join());
  assert.equal(client.authStore.isValid, true);
  assert.equal(client.authStore.record.id, first.record.id);
});

test("the auth methods are told to everybody", async () => {
  assert.deepEqual(await server.guest().collection("_superusers").listAuthMethods(), {
    password: { enabled: true, identityFields: ["email"] },
    oauth2: { enabled: false, providers: [] },
    mfa: { enabled: false, duration: 0 },
    otp: { enabled: false, duration: 0 },
  });
});

test("a wrong login is an error object with status, URL and response", async () => {
  const superusers = server.guest().collection("_superusers");
  for (const [identity, password] of [
    [EMAIL, "wrong"],
    ["nobody@example.org", PASSWORD],
  ]) {
    const error = await refused(superusers.authWithPassword(identity, password));
    assert.ok(error instanceof ClientResponseError);
    assert.equal(error.isAbort, false);
    assert.equal(error.url, `${server.url}/api/collections/_superusers/auth-with-password`);
    assert.deepEqual(error.response, { data: {}, message: "Failed to authenticate.", status: 400 });
  }
  const blank = await refused(superusers.authWithPassword("", ""));
  assert.equal(blank.response.message, "An error occurred while validating the submitted data.");
  const required = { code: "validation_required", message: "Cannot be blank." };
  assert.deepEqual(blank.response.data, { identity: required, password: required });
});

test("a forged or spoilt token makes a guest", async () => {
  const client = await server.client();
  const { token, record } = client.authStore;
  for (const spoilt of [`${token}x`, token.split(".").slice(0, 2).join(".") + ".", "x.y.z"]) {
    client.authStore.save(spoilt, record);
    assert.equal((await refused(client.collection("coredns_records").getList())).status, 403);
    assert.equal((await client.health.check()).code, 200);
  }
});

test("a restart keeps tokens, and a new password voids them", async () => {
  const client = await server.client();
  const { id } = client.authStore.record;
  await server.end();
  await server.run();
  assert.equal((await client.collection("_superusers").authRefresh()).record.id, id);
  await server.end();
  server.password = "battery-staple";
  await server.run();
  assert.equal((await refused(client.collection("_superusers").authRefresh())).status, 401);
  assert.equal((await refused(client.collection("coredns_records").getList())).status, 403);
  assert.equal((await server.client()).authStore.record.id, id);
});
