import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ApiError, type ErrorCode } from "@tidemark/protocol/errors";
import type { List } from "@tidemark/protocol/management";
import fc from "fast-check";
import type { PageRequest } from "../../src/objects/pages.ts";
import { engines } from "../engines.ts";
import { openTestLedger, type TestLedger, type TestStore } from "../test-ledger.ts";

const failsWith = (code: ErrorCode) => (error: unknown) => error instanceof ApiError && error.code === code;

const works = async ({ commands, clock }: TestLedger, key: string) =>
  (await commands.identify(key, clock.now)) !== undefined;

describe("organizations, stores and connectors", () => {
  test("are found only by their own organization", async (t) => {
    const { commands, clock, createStore } = await openTestLedger(t, engines[0]!);
    const [own, other] = [await createStore(), await createStore()];
    const { organizationId } = own;
    const keyId = (await commands.getConnector(other.organizationId, other.connectorId)).keys[0]!.id;
    const attempts = {
      VECTOR_STORE_NOT_FOUND: [
        () => commands.getVectorStore(organizationId, other.storeId),
        () => commands.updateVectorStore(organizationId, other.storeId, { name: "mine" }, clock.now),
        () => commands.deleteVectorStore(organizationId, other.storeId, clock.now),
        () => commands.createConnector(organizationId, { name: "x", storeId: other.storeId }, clock.now),
      ],
      CONNECTOR_NOT_FOUND: [
        () => commands.getConnector(organizationId, other.connectorId),
        () => commands.updateConnector(organizationId, other.connectorId, { name: "mine" }),
        () => commands.deleteConnector(organizationId, other.connectorId, clock.now),
        () => commands.createConnectorKey(organizationId, other.connectorId, {}, clock.now),
        () => commands.revokeConnectorKey(organizationId, other.connectorId, keyId, clock.now),
      ],
    };
    for (const [code, calls] of Object.entries(attempts)) {
      for (const call of calls) await assert.rejects(call, failsWith(code as ErrorCode), String(call));
    }
    for (const list of ["listVectorStores", "listConnectors", "listKeys"] as const) {
      const { data } = await commands[list](organizationId, {});
      assert.deepEqual(
        data.map(({ organization_id }) => organization_id),
        list === "listKeys" || data.length ? [organizationId] : [],
      );
    }
    const untouched = await commands.getVectorStore(other.organizationId, other.storeId);
    assert.equal(untouched.name, "Test store");
  });

  test("keep every field that an update does not name", async (t) => {
    const { commands, clock, createStore } = await openTestLedger(t, engines[0]!);
    const { organizationId, storeId, connectorId } = await createStore();
    const before = await commands.getVectorStore(organizationId, storeId);
    const update = (changes: { name?: string; description?: string | null }) =>
      commands.updateVectorStore(organizationId, storeId, changes, clock.now + 1);
    const updated_at = new Date(clock.now + 1).toISOString();
    assert.deepEqual(await update({ description: "" }), { ...before, description: "", updated_at });
    assert.deepEqual(await update({ name: "ß'\"" }), {
      ...before,
      name: "ß'\"",
      description: "",
      updated_at,
    });
    assert.deepEqual(await update({ description: null }), { ...before, name: "ß'\"", updated_at });

    const connector = await commands.getConnector(organizationId, connectorId);
    assert.deepEqual(await commands.updateConnector(organizationId, connectorId, {}), connector);
    const renamed = await commands.updateConnector(organizationId, connectorId, { name: "New" });
    assert.deepEqual(renamed, { ...connector, name: "New" });
  });
});

describe("a store that is deleted", () => {
  test("takes its connectors and the keys of both along, and nothing else", async (t) => {
    const ledger = await openTestLedger(t, engines[0]!);
    const { commands, clock } = ledger;
    const own = await ledger.createStore();
    const { organizationId, storeId } = own;
    const readerOf = (store: string | null) =>
      commands.createOwnerKey({ role: "reader", organizationId, storeId: store }, clock.now);
    const sibling = await commands.createVectorStore(organizationId, { name: "Sibling" }, clock.now);
    const siblingConnector = await commands.createConnector(
      organizationId,
      { name: "Sibling's", storeId: sibling.id },
      clock.now,
    );
    const [ofStore, ofAll, ofSibling] = [
      await readerOf(storeId),
      await readerOf(null),
      await readerOf(sibling.id),
    ];

    const deleted = await commands.deleteVectorStore(organizationId, storeId, clock.now);
    assert.deepEqual(deleted, { id: storeId, object: "vector_store", deleted: true });
    assert.equal(await works(ledger, own.key), false);
    assert.equal(await works(ledger, ofStore.api_key), false);
    for (const key of [siblingConnector.api_key, ofAll.api_key, ofSibling.api_key]) {
      assert.equal(await works(ledger, key), true);
    }
    const stores = await commands.listVectorStores(organizationId, {});
    assert.deepEqual(
      stores.data.map(({ id }) => id),
      [sibling.id],
    );
    const connectors = await commands.listConnectors(organizationId, {});
    assert.deepEqual(
      connectors.data.map(({ id }) => id),
      [siblingConnector.id],
    );
    for (const call of [
      commands.getVectorStore(organizationId, storeId),
      commands.deleteVectorStore(organizationId, storeId, clock.now),
      commands.createConnector(organizationId, { name: "x", storeId }, clock.now),
    ]) {
      await assert.rejects(call, failsWith("VECTOR_STORE_NOT_FOUND"));
    }
  });
});

test("a deleted connector leaves its records, and its keys stop working", async (t) => {
  const ledger = await openTestLedger(t, engines[0]!);
  const { commands, clock } = ledger;
  const store: TestStore = await ledger.createStore();
  await store.sync({ operations: [{ action: "upsert", id: "a", namespace: "tasks" }] });
  await commands.deleteConnector(store.organizationId, store.connectorId, clock.now);
  assert.equal(await works(ledger, store.key), false);
  assert.equal(await store.recordCount(), 1);
  await assert.rejects(
    commands.getConnector(store.organizationId, store.connectorId),
    failsWith("CONNECTOR_NOT_FOUND"),
  );
});

describe("lists", () => {
  async function walk<T>(read: (request: PageRequest) => Promise<List<T>>, limit: number): Promise<T[][]> {
    const pages: T[][] = [];
    let cursor: string | null | undefined;
    do {
      const page = await read(cursor ? { limit, cursor } : { limit });
      assert.equal(page.has_more, page.next_cursor !== null);
      pages.push(page.data);
      cursor = page.next_cursor;
    } while (cursor);
    return pages;
  }

  test("show every object once, in the same order for every page size", async (t) => {
    const { commands, clock, createStore } = await openTestLedger(t, engines[0]!);
    const { organizationId } = await createStore();
    await createStore();
    for (let index = 1; index < 23; index++) {
      await commands.createVectorStore(organizationId, { name: `Store ${index}` }, clock.now);
    }
    const read = (request: PageRequest) => commands.listVectorStores(organizationId, request);
    const all = (await read({ limit: 100 })).data;
    assert.equal(all.length, 23);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 25 }), async (limit) => {
        const pages = await walk(read, limit);
        assert.deepEqual(pages.flat(), all);
        assert.equal(pages.length, Math.ceil(all.length / limit), "no page is empty");
      }),
      { numRuns: 25 },
    );
    assert.equal((await read({})).data.length, 20);
  });

  test("reject a cursor that they did not return", async (t) => {
    const { commands } = await openTestLedger(t, engines[0]!);
    for (const cursor of ["", "nonsense", "!", Buffer.from("before:org_a").toString("base64url")]) {
      await assert.rejects(
        commands.listOrganizations({ cursor }),
        failsWith("VALIDATION_ERROR"),
        JSON.stringify(cursor),
      );
    }
  });
});
