import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, test } from "node:test";
import { ApiError, type ErrorCode } from "@tidemark/protocol/errors";
import type { Role } from "@tidemark/protocol/management";
import { hashKey, keyPrefix, makeKey, readKey } from "../../src/access/key-format.ts";
import { sqlitePath } from "../../src/storage/sqlite/path.ts";
import { engines } from "../engines.ts";
import { openTestLedger } from "../test-ledger.ts";

const ROLES: Role[] = ["connector", "reader", "admin"];
const HOUR_MS = 3_600_000;

const failsWith = (code: ErrorCode) => (error: unknown) => error instanceof ApiError && error.code === code;

describe("the form of a key", () => {
  test("is the contract's and shows the role", () => {
    for (const role of ROLES) {
      const key = makeKey(role);
      assert.match(key, new RegExp(`^tdm_${role[0]}_[0-9A-Za-z]{8}_[0-9A-Za-z]{32,}$`));
      const { shortId } = readKey(key)!;
      assert.equal(keyPrefix(role, `key_${shortId}`), key.slice(0, "tdm_c_12345678".length));
    }
    const keys = Array.from({ length: 1000 }, () => makeKey("reader"));
    assert.equal(new Set(keys.map((key) => readKey(key)!.shortId)).size, 1000);
  });

  test("reveals every wrong, missing or swapped character without a query", () => {
    const key = makeKey("admin");
    for (let i = 0; i < key.length; i++) {
      const other = key[i] === "x" ? "y" : "x";
      assert.equal(readKey(key.slice(0, i) + other + key.slice(i + 1)), undefined, `wrong at ${i}`);
      assert.equal(readKey(key.slice(0, i) + key.slice(i + 1)), undefined, `missing at ${i}`);
      if (key[i] === key[i + 1] || i === key.length - 1) continue;
      const swapped = key.slice(0, i) + key[i + 1] + key[i] + key.slice(i + 2);
      assert.equal(readKey(swapped), undefined, `swapped at ${i}`);
    }
    for (const text of [
      "",
      " ",
      "tdm_",
      ` ${key}`,
      `${key} `,
      `${key}\n`,
      key.toUpperCase(),
      key.repeat(50),
    ]) {
      assert.equal(readKey(text), undefined, JSON.stringify(text.slice(0, 80)));
    }
  });
});

describe("keys in the database", () => {
  test("identify their owner until they expire or are revoked", async (t) => {
    const { commands, clock, createStore } = await openTestLedger(t, engines[0]!);
    const { organizationId, storeId, connectorId, key } = await createStore();
    const identify = (text: string, now = clock.now) => commands.identify(text, now);
    const connector = await identify(key);
    assert.deepEqual(
      { ...connector, keyId: undefined },
      { keyId: undefined, role: "connector", organizationId, storeId, connectorId, expiresAt: null },
    );

    const expires = clock.now + HOUR_MS;
    const reader = await commands.createOwnerKey(
      { role: "reader", organizationId, expiresAt: new Date(expires).toISOString() },
      clock.now,
    );
    assert.equal((await identify(reader.api_key, expires - 1))?.expiresAt, expires);
    assert.equal(await identify(reader.api_key, expires), undefined);

    await commands.revokeKeys("key", connector!.keyId, clock.now);
    assert.equal(await identify(key), undefined);
    assert.equal(await identify(makeKey("admin")), undefined);
    assert.equal(await identify("tdm_a_nothing"), undefined);
  });

  test("are rejected if only their short id is right", async (t) => {
    const { storage, commands, clock, createStore } = await openTestLedger(t, engines[0]!);
    const { key } = await createStore();
    await storage.write((sql) => sql.all("UPDATE api_keys SET hash = $1", [hashKey(makeKey("connector"))]));
    assert.equal(await commands.identify(key, clock.now), undefined);
  });

  test("are in its files only as SHA-256", async (t) => {
    const { databaseUrl, createStore } = await openTestLedger(t, engines[0]!);
    const { key } = await createStore();
    const folder = dirname(sqlitePath(databaseUrl));
    const files = readdirSync(folder).map((name) => readFileSync(`${folder}/${name}`, "latin1"));
    const secret = key.slice("tdm_c_12345678_".length);
    assert.ok(files.some((text) => text.includes(hashKey(key))));
    for (const text of files) {
      assert.equal(text.includes(secret), false);
      assert.equal(text.includes(secret.slice(0, 16)), false);
    }
  });

  test("cannot be created for another organization's store, or with an invalid expiry", async (t) => {
    const { commands, clock, createStore } = await openTestLedger(t, engines[0]!);
    const [own, other] = [await createStore(), await createStore()];
    const create = (fields: { role?: "reader" | "admin"; storeId?: string; expiresAt?: string }) =>
      commands.createOwnerKey({ role: "reader", organizationId: own.organizationId, ...fields }, clock.now);
    await assert.rejects(create({ storeId: other.storeId }), failsWith("VECTOR_STORE_NOT_FOUND"));
    await assert.rejects(create({ role: "admin", storeId: own.storeId }), failsWith("VALIDATION_ERROR"));
    const past = new Date(clock.now).toISOString();
    for (const expiresAt of [past, "2030-01-01", "2030-01-01T00:00:00", "2030-02-30T00:00:00Z", "", "soon"]) {
      await assert.rejects(create({ expiresAt }), failsWith("VALIDATION_ERROR"), expiresAt);
    }
    await commands.deleteVectorStore(own.organizationId, own.storeId, clock.now);
    await assert.rejects(create({ storeId: own.storeId }), failsWith("VECTOR_STORE_NOT_FOUND"));
  });

  test("of one connector can be several, for rotation", async (t) => {
    const { commands, clock, createStore } = await openTestLedger(t, engines[0]!);
    const [own, other] = [await createStore(), await createStore()];
    const { organizationId, connectorId, key: first } = own;
    const second = await commands.createConnectorKey(organizationId, connectorId, {}, clock.now + 1);
    const works = async (text: string) => (await commands.identify(text, clock.now)) !== undefined;
    assert.deepEqual([await works(first), await works(second.api_key)], [true, true]);

    const connector = await commands.getConnector(organizationId, connectorId);
    assert.deepEqual(connector.keys.map(({ id }) => id)[0], second.id);
    assert.equal(connector.keys.length, 2);
    const foreign = (await commands.getConnector(other.organizationId, other.connectorId)).keys[0]!;
    await assert.rejects(
      commands.revokeConnectorKey(organizationId, connectorId, foreign.id, clock.now),
      failsWith("API_KEY_NOT_FOUND"),
    );
    const revoked = await commands.revokeConnectorKey(
      organizationId,
      connectorId,
      connector.keys[1]!.id,
      clock.now + 2,
    );
    assert.equal(revoked.revoked_at, new Date(clock.now + 2).toISOString());
    assert.deepEqual([await works(first), await works(second.api_key)], [false, true]);
    assert.equal(await works(other.key), true);
    // Revoking it again changes nothing, not even the time.
    const repeated = await commands.revokeConnectorKey(
      organizationId,
      connectorId,
      revoked.id,
      clock.now + 3,
    );
    assert.deepEqual(repeated, revoked);
  });

  test("keep the newest time of use, in whichever order processes save it", async (t) => {
    const { commands, clock, createStore } = await openTestLedger(t, engines[0]!);
    const { organizationId, connectorId } = await createStore();
    const lastUsed = async () => {
      const { keys } = await commands.getConnector(organizationId, connectorId);
      return keys[0]!;
    };
    const { id, last_used_at } = await lastUsed();
    assert.equal(last_used_at, null);
    await commands.noteKeyUse([[id, clock.now]]);
    await commands.noteKeyUse([[id, clock.now - 1000]]);
    assert.equal((await lastUsed()).last_used_at, new Date(clock.now).toISOString());
    await commands.noteKeyUse([[id, clock.now + 1000]]);
    assert.equal((await lastUsed()).last_used_at, new Date(clock.now + 1000).toISOString());
  });
});
