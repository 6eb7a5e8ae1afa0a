import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { tableColumns } from "../../src/transfer/format.ts";
import { LEDGER_TABLES } from "../../src/transfer/tables.ts";
import { engines } from "../engines.ts";
import { sweepAll } from "../test-ledger.ts";
import { indexAll } from "../test-server.ts";
import {
  ANSWERED,
  ANSWERED_KEY,
  exportToBuffer,
  isOfIndex,
  NOT_LEDGER,
  OPEN_RUN,
  openRichLedger,
  openTarget,
  purgeTombstones,
  readAnswers,
  readColumns,
  readStoreRows,
  upsert,
} from "./rich-ledger.ts";

/** Tables that belong to the process that counts requests, or to the schema itself. */
const NOT_MOVED = ["rate_windows", "schema_migrations"];

for (const engine of engines) {
  test(`${engine.name}: an export has every column of every table`, async (t) => {
    const target = await openTarget(t, engine);
    const known = tableColumns();
    for (const [table, columns] of await readColumns(target)) {
      if (NOT_MOVED.includes(table) || NOT_LEDGER.includes(table)) continue;
      const exported = columns.includes("store_id") ? ["store_id", ...known[table]!] : known[table];
      assert.deepEqual(
        exported?.toSorted(),
        columns.filter((column) => !isOfIndex(table, column)),
        table,
      );
    }
  });
}

for (const from of engines) {
  for (const to of engines) {
    describe(`a store moved from ${from.name} to ${to.name}`, () => {
      test("has the same rows in every table and gives the same answers", async (t) => {
        const source = await openRichLedger(t, from);
        await purgeTombstones(source);
        await source.one.sync({ operations: [upsert("r6"), { ...upsert("r6"), action: "delete" }] });
        const target = await openTarget(t, to);
        const imported = await target.import(await exportToBuffer(source.storage));
        assert.equal(imported.stores, 2);
        for (const store of [source.one, source.two]) {
          const rows = await readStoreRows(source, store);
          assert.deepEqual(await readStoreRows(target, store), rows);
          assert.deepEqual(
            await readAnswers(target.commands, target.storeOf(store)),
            await readAnswers(source.commands, store),
          );
        }
        const rows = await readStoreRows(source, source.one);
        for (const { name } of LEDGER_TABLES)
          assert.ok(rows[name]!.length > 0, `the test has rows of ${name}`);
        assert.ok(rows.namespaces!.some(({ sweep_from }) => sweep_from !== null));
        assert.ok(rows.namespaces!.some(({ purged_at }) => purged_at !== "0"));
        assert.ok(rows.api_keys!.some(({ revoked_at }) => revoked_at !== null));
        assert.equal(rows.api_key_usage!.length, 1);
      });

      test("is indexed completely in the new database, whatever was indexed in the old one", async (t) => {
        const source = await openRichLedger(t, from);
        await indexAll(source.commands);
        const target = await openTarget(t, to);
        await target.import(await exportToBuffer(source.storage));
        await indexAll(target.commands);
        const there = target.storeOf(source.one);
        const { data } = await target.commands.listRecords(there.organizationId, there.storeId, {
          namespace: "tasks",
          limit: 100,
        });
        assert.ok(data.length > 0);
        assert.deepEqual([...new Set(data.map(({ indexing }) => indexing.status))], ["indexed"]);
      });

      test("continues as before: the open run finishes, the saved answer is replayed, old rows are swept", async (t) => {
        const source = await openRichLedger(t, from);
        const target = await openTarget(t, to);
        await target.import(await exportToBuffer(source.storage, source.one.storeId));
        const there = target.storeOf(source.one);
        const calls = async (store: typeof there) => [
          await store.sync(ANSWERED, ANSWERED_KEY),
          await store.sync({ ...OPEN_RUN, operations: [upsert("r41")] }),
          await store.sync({
            sync_timestamp: "2025-11-11T10:54:00Z",
            operations: [upsert("later"), upsert("r2")],
          }),
        ];
        const plain = (answers: object[]) =>
          answers.map((answer) => ({ ...answer, sync_id: "", processing_time_ms: 0, refresh: {} }));
        target.clock.now = source.clock.now;
        const [replayed, ...here] = await calls(source.one);
        const [replayedThere, ...onTarget] = await calls(there);
        assert.deepEqual(replayedThere, replayed);
        assert.deepEqual(plain(onTarget), plain(here));
        assert.ok(here[0]!.changes.created > 0 && here[1]!.changes.stale > 0);
        for (const { storage } of [source, target]) await sweepAll(storage, source.clock.now);
        const counts = async (at: typeof target | typeof source) =>
          Object.fromEntries(
            Object.entries(await readStoreRows(at, source.one)).map(([name, { length }]) => [name, length]),
          );
        assert.deepEqual(await counts(target), await counts({ ...source }));
        assert.equal((await there.sync({ operations: [] })).status, "success");
        const syncs = await target.commands.listSyncs(there.organizationId, there.storeId, {}, null);
        assert.equal(syncs.data.length > 0, true);
      });
    });
  }
}
