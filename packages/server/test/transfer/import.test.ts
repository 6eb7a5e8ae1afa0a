import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { exportStores } from "../../src/transfer/export.ts";
import { importStores } from "../../src/transfer/import.ts";
import { findResumable } from "../../src/transfer/resume.ts";
import { discardImport, listUnfinished } from "../../src/transfer/unfinished.ts";
import { engines, type TestEngine } from "../engines.ts";
import { BUILD } from "../index-rows.ts";
import { forgetAll, openTestLedger, sweepAll } from "../test-ledger.ts";
import { indexAll } from "../test-server.ts";
import {
  exportToBuffer,
  inPieces,
  openRichLedger,
  openTarget,
  readStoreRows,
  remove,
  upsert,
} from "./rich-ledger.ts";

const FAR_FUTURE = Date.UTC(2100, 0);

/** A full database on the first engine, its export, and an empty database on another. */
async function openBoth(t: TestContext, engine: TestEngine) {
  const source = await openRichLedger(t, engines[0]!);
  const target = await openTarget(t, engine);
  const bytes = await exportToBuffer(source.storage);
  /** The first part of the export's bytes. */
  const cut = (share: number) => bytes.subarray(0, Math.floor(bytes.length * share));
  const importCut = (share: number) => assert.rejects(target.import(cut(share)), /is cut off/);
  const unfinished = () => target.storage.read(listUnfinished);
  return { source, target, bytes, importCut, unfinished };
}

for (const engine of engines) {
  describe(`${engine.name}: an import`, () => {
    test("that was interrupted several times continues, and ends with the same rows", async (t) => {
      const { source, target, bytes, importCut, unfinished } = await openBoth(t, engine);
      for (const share of [0.02, 0.3, 0.31, 0.5, 0.7, 0.999]) await importCut(share);
      assert.equal((await unfinished()).length, 1);
      const { stores, rows, skipped } = await target.import(bytes);
      assert.equal(stores, 2);
      assert.ok(skipped > rows, `${skipped} rows were there, ${rows} were written`);
      for (const store of [source.one, source.two]) {
        assert.deepEqual(await readStoreRows(target, store), await readStoreRows(source, store));
      }
      assert.deepEqual(await unfinished(), []);
    });

    test("that is unfinished shows nothing to callers, and reserves the ids of its stores", async (t) => {
      const { source, target, bytes, importCut } = await openBoth(t, engine);
      const { organizationId, storeId, key } = source.one;
      await importCut(0.999);
      const { commands } = target;
      assert.equal(await commands.identify(key, 0), undefined);
      assert.equal(await commands.findOrganization(organizationId), undefined);
      assert.deepEqual((await commands.listOrganizations({})).data, []);
      await assert.rejects(commands.getVectorStore(organizationId, storeId), {
        code: "VECTOR_STORE_NOT_FOUND",
      });
      const other = await commands.createOrganization({ name: "Other" }, 1);
      await assert.rejects(commands.createVectorStore(other.id, { name: "Mine", id: storeId }, 1), {
        code: "ALREADY_EXISTS",
      });
      const another = await exportToBuffer(source.storage);
      await assert.rejects(
        target.import(another),
        /belongs to an unfinished import of another export\. .*--discard exp_/,
      );
      await assert.rejects(exportToBuffer(target.storage, storeId), /There is no vector store/);
      await target.import(bytes);
      assert.equal((await commands.identify(key, 0))!.storeId, storeId);
    });

    test("of a damaged file shows nothing to callers, though most of it arrived", async (t) => {
      const { source, target, bytes } = await openBoth(t, engine);
      const damaged = Buffer.from(bytes);
      damaged[bytes.lastIndexOf('"sha256"') + 12]! ^= 1;
      await assert.rejects(target.import(damaged), /^Error: Line \d+ of the export /);
      assert.equal(await target.commands.identify(source.one.key, 0), undefined);
      await target.import(bytes);
      assert.deepEqual(await readStoreRows(target, source.one), await readStoreRows(source, source.one));
    });

    test("is not harmed by the maintenance of a server that runs at the same time", async (t) => {
      const { source, target, bytes, importCut } = await openBoth(t, engine);
      const there = target.storeOf(source.one);
      // The first cut has rows of the open run, but not the rows by which maintenance knows them as the run's.
      const staged = bytes.indexOf('{"page":"refresh_run_namespaces"') / bytes.length;
      for (const share of [staged, 0.7, 0.8, 0.9, 0.999]) {
        await importCut(share);
        await forgetAll(target.storage, { tombstones: FAR_FUTURE, openRuns: FAR_FUTURE });
        await sweepAll(target.storage, FAR_FUTURE);
      }
      await target.import(bytes);
      const refreshes = await target.commands.listRefreshes(there.organizationId, there.storeId, {}, null);
      assert.equal(refreshes.data.length, 1, "the unfinished refresh is still open");
      for (const { storage } of [source, target]) {
        await forgetAll(storage, { tombstones: FAR_FUTURE });
        await sweepAll(storage, FAR_FUTURE);
      }
      assert.deepEqual(await readStoreRows(target, source.one), await readStoreRows(source, source.one));
      const verified = await target.commands.verifyStore(there.storeId);
      assert.ok(verified.every(({ in_sync }) => in_sync));
      const late = await there.sync({
        sync_timestamp: "2025-11-11T10:40:00Z",
        operations: [upsert("r31", "past")],
      });
      assert.equal(
        late.changes.stale,
        1,
        "the delete of 10:55 is remembered, though its tombstone was purged",
      );
    });

    test("is ignored by a running indexer until it is finished, and is then indexed completely", async (t) => {
      const source = await openTestLedger(t, engines[0]!, { quick: true });
      const store = await source.createStore();
      await store.sync({ operations: [upsert("old")] });
      const run = { sync_mode: "full_refresh" as const, sync_timestamp: "2025-11-11T10:50:00Z" };
      await store.sync({ ...run, last_batch: false, operations: [upsert("staged")] });
      const bytes = await exportToBuffer(source.storage);
      const target = await openTarget(t, engine);
      const { commands, clock, storage } = target;
      let seen = 0;
      async function* indexedMeanwhile() {
        for await (const piece of inPieces(bytes, 200)) {
          yield piece;
          clock.now += 60_000;
          await indexAll(commands);
          seen += (await commands.storesToIndex()).length + (await commands.indexingOfAll()).pending;
        }
      }
      await importStores(storage, indexedMeanwhile(), 1);
      assert.equal(seen, 0);
      await target.storeOf(store).sync({ ...run, operations: [upsert("last")] });
      await indexAll(commands);
      const ids = [store.organizationId, store.storeId] as const;
      for (const id of ["staged", "last"]) {
        const { data } = await commands.search(...ids, { query: id });
        assert.deepEqual(
          data.map((result) => result.id),
          [id],
        );
      }
    });

    test("does not mix two snapshots of a store that was exported twice into one file", async (t) => {
      const { source, target, bytes, unfinished } = await openBoth(t, engine);
      const options = { version: "test", now: 1 };
      const section = bytes.lastIndexOf('{"section":"store"');
      const resume = await findResumable(source.storage, inPieces(bytes.subarray(0, section)), options);
      assert.equal(resume!.stores.length, 1);
      await assert.rejects(
        target.import(bytes.subarray(0, bytes.lastIndexOf('{"page":"syncs"'))),
        /is cut off/,
      );
      const parts = [bytes.subarray(0, resume!.position.bytes).toString()];
      await exportStores(source.storage, async (text) => void parts.push(text), { ...options, resume });
      const newer = Buffer.from(parts.join(""));
      await assert.rejects(
        target.import(newer),
        /began with an earlier state of this file\. .*--discard exp_/,
      );
      await discardImport(target.storage, (await unfinished())[0]!.export_id);
      assert.equal((await target.import(newer)).skipped, 0);
    });

    test("can be discarded: nothing of it is left, and it can be repeated", async (t) => {
      const { source, target, bytes, importCut, unfinished } = await openBoth(t, engine);
      await importCut(0.999);
      const [{ export_id, stores }] = (await unfinished()) as [{ export_id: string; stores: string[] }];
      assert.deepEqual(stores, [source.one.storeId, source.two.storeId].sort());
      // The index has rows too.
      await target.storage.ledger(source.one.storeId, async ({ index }) => {
        await index.putBuild({ ...BUILD, space: 1 });
        await index.addVectors(1, [{ hash: "a", embedding: new Float32Array([1, 0]) }]);
      });
      assert.deepEqual(await discardImport(target.storage, export_id), stores);
      for (const table of await engine.storeTables(target.storage)) {
        const left = await target.storage.read((sql) => sql.all(`SELECT store_id FROM ${table}`));
        assert.deepEqual(left, [], table);
      }
      for (const store of [source.one, source.two]) {
        const rows = await readStoreRows(target, store);
        assert.deepEqual(
          Object.entries(rows).filter(([, { length }]) => length > 0),
          [],
        );
      }
      const organizations = await target.commands.listOrganizations({});
      assert.deepEqual(organizations.data, []);
      await assert.rejects(discardImport(target.storage, export_id), /There is no unfinished import of exp_/);
      assert.equal((await target.import(bytes)).skipped, 0);
      await assert.rejects(discardImport(target.storage, export_id), /There is no unfinished import/);
      assert.deepEqual(await readStoreRows(target, source.one), await readStoreRows(source, source.one));
    });

    test("of a store that exists or was deleted is rejected and changes nothing", async (t) => {
      const { source, target, bytes } = await openBoth(t, engine);
      const { organizationId, storeId } = source.one;
      await target.import(bytes);
      const before = await readStoreRows(target, source.one);
      await assert.rejects(target.import(bytes), /vector store vs_\w+ already exists\. Nothing was/);
      assert.deepEqual(await readStoreRows(target, source.one), before);
      await target.commands.deleteVectorStore(organizationId, storeId, 2);
      const newer = await exportToBuffer(source.storage, storeId);
      await assert.rejects(target.import(newer), new RegExp(`${storeId} was deleted from this database`));
    });

    test("is rejected if the id of its organization or connector belongs to another one", async (t) => {
      const { source, target, bytes, unfinished } = await openBoth(t, engine);
      const { organizationId, connectorId } = source.one;
      const { commands } = target;
      await commands.createOrganization({ name: "Namesake", id: organizationId }, 77);
      await assert.rejects(
        target.import(bytes),
        new RegExp(`organization ${organizationId} already exists .*another one`),
      );
      const second = await openTarget(t, engine);
      const organization = await second.commands.createOrganization({ name: "Own" }, 77);
      const store = await second.commands.createVectorStore(organization.id, { name: "Own" }, 77);
      const taken = { name: "Own", storeId: store.id, id: connectorId };
      await second.commands.createConnector(organization.id, taken, 77);
      await assert.rejects(second.import(bytes), new RegExp(`connector ${connectorId} already exists`));
      assert.deepEqual(await unfinished(), []);
    });

    test("of an organization's stores one by one brings its keys once, and later revocations", async (t) => {
      const { source, target } = await openBoth(t, engine);
      const { organizationId } = source.one;
      const { commands } = source;
      const next = await commands.createVectorStore(organizationId, { name: "Next" }, 1);
      await target.import(await exportToBuffer(source.storage, source.one.storeId));
      const admin = await target.commands.identify(source.admin, 0);
      assert.equal(admin!.role, "admin");
      await commands.revokeKeys("key", admin!.keyId, 5);
      await commands.noteKeyUse([[admin!.keyId, 50]]);
      await target.import(await exportToBuffer(source.storage, next.id));
      assert.equal(await target.commands.identify(source.admin, 0), undefined);
      const stores = await target.commands.listVectorStores(organizationId, {});
      assert.deepEqual(stores.data.map(({ id }) => id).sort(), [source.one.storeId, next.id].sort());
      assert.deepEqual(
        await target.commands.listKeys(organizationId, {}),
        await commands.listKeys(organizationId, {}),
      );
    });

    test("accepts records that are longer than a page", async (t) => {
      const { source, target } = await openBoth(t, engine);
      const text = "x".repeat(3 * 1024 * 1024);
      const { two } = source;
      await two.sync({ operations: ["a", "b", "c"].map((id) => upsert(id, "long", { text, id })) });
      await two.sync({ operations: Array.from({ length: 2345 }, (_, index) => upsert(`n${index}`, "many")) });
      await two.sync({ operations: Array.from({ length: 1000 }, (_, index) => remove(`n${index}`, "many")) });
      const pages: number[] = [];
      const parts: string[] = [];
      const sink = async (part: string) => {
        parts.push(part);
        pages.push(part.length);
      };
      await exportStores(source.storage, sink, { store: two.storeId, version: "test", now: 1 });
      assert.ok(Math.max(...pages) < 5 * 1024 * 1024, "a page has at most one long record");
      await target.import(Buffer.from(parts.join("")));
      assert.deepEqual(await readStoreRows(target, two), await readStoreRows(source, two));
    });
  });
}
