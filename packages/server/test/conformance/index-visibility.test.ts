import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { engines } from "../engines.ts";
import { change, chunkOf, look, setIndexed } from "../index-rows.ts";
import { openTestLedger } from "../test-ledger.ts";

const upsert = (id: string, data: object = {}, namespace = "tasks") => ({
  action: "upsert",
  id,
  namespace,
  data,
});

for (const engine of engines) {
  describe(`${engine.name}: what search may show`, () => {
    test("a record is found by its indexed version until the record is gone", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const store = await ledger.createStore();
      await store.sync({ operations: [upsert("a", { n: 1 }), upsert("b"), upsert("c", {}, "notes")] });
      const versions = await setIndexed(ledger, store, ["a", "b"]);
      const [c] = [...(await setIndexed(ledger, store, ["c"], "notes")).values()];
      await change(ledger, store, (index) =>
        index.addChunks(1, [
          chunkOf(0, { version: versions.get("a")!, text: "one\n'two'" }),
          chunkOf(1, { version: versions.get("a")!, ordinal: 1 }),
          chunkOf(2, { version: versions.get("a")! + 1, text: "not yet" }),
          chunkOf(3, { id: "b", version: versions.get("b")! }),
          chunkOf(4, { id: "c", version: c!, namespace: "notes" }),
        ]),
      );
      const chunks = async (namespaces: string[] | null = null) => {
        const found = await look(ledger, store, (index) =>
          index.visible(1, [0, 1, 2, 3, 4, 5], namespaces, false),
        );
        return found.map(({ chunk }) => chunk).sort();
      };
      assert.deepEqual(await chunks(), [0, 1, 3, 4]);
      assert.deepEqual(await chunks(["notes", "none"]), [4]);
      assert.deepEqual(await chunks([]), []);
      const [found] = await look(ledger, store, (index) => index.visible(1, [0], ["tasks"], true));
      assert.deepEqual(
        { ...found },
        {
          ...{ chunk: 0, namespace: "tasks", id: "a", ordinal: 0, text: "one\n'two'" },
          ...{ writtenAt: ledger.clock.now, content: '{"data":{"n":1}}' },
        },
      );
      const [bare] = await look(ledger, store, (index) => index.visible(1, [0], null, false));
      assert.equal(bare!.content, null);
      assert.deepEqual(await look(ledger, store, (index) => index.visible(2, [0], null, false)), []);

      // An updated record is found by its old text, and shown with its new content.
      await store.sync({ operations: [upsert("a", { n: 2 })] });
      assert.deepEqual(await chunks(), [0, 1, 3, 4]);
      const [updated] = await look(ledger, store, (index) => index.visible(1, [0], null, true));
      assert.deepEqual([updated!.text, updated!.content], ["one\n'two'", '{"data":{"n":2}}']);

      await store.sync({ operations: [{ action: "delete", id: "b", namespace: "tasks" }] });
      assert.deepEqual(await chunks(), [0, 1, 4]);
      await store.sync({ sync_mode: "full_refresh", operations: [upsert("b")] });
      assert.deepEqual(await chunks(), [4]);
    });

    test("a staged run's text is not found before the run is applied, and immediately afterwards", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const store = await ledger.createStore();
      await store.sync({ operations: [upsert("a", { n: 1 })] });
      const before = (await setIndexed(ledger, store, ["a"])).get("a")!;
      const part = (last_batch: boolean, operations: object[]) =>
        store.sync({
          sync_mode: "full_refresh",
          sync_timestamp: "2025-11-11T10:31:00Z",
          last_batch,
          operations,
        });
      await part(false, [upsert("a", { n: 2 })]);
      const after = await ledger.storage.ledger(store.storeId, async (tx) => {
        const rows = await tx.rowsOf([{ namespace: "tasks", ids: ["a"] }]);
        const staged = rows.find(({ version }) => version !== before)!;
        await tx.index.setIndexed([{ ...staged, indexed: staged.version }]);
        return staged.version!;
      });
      await change(ledger, store, (index) =>
        index.addChunks(1, [chunkOf(0, { version: before }), chunkOf(1, { version: after })]),
      );
      const chunks = async () =>
        (await look(ledger, store, (index) => index.visible(1, [0, 1], null, false))).map(
          ({ chunk }) => chunk,
        );
      assert.deepEqual(await chunks(), [0]);
      await part(true, []);
      assert.deepEqual(await chunks(), [1]);
    });

    test("a record can be found by another version than its own", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const store = await ledger.createStore();
      await store.sync({ operations: [upsert("a"), upsert("b"), upsert("c")] });
      const indexed = await ledger.storage.ledger(store.storeId, async (tx) => {
        const rows = await tx.rowsOf([{ namespace: "tasks", ids: ["a", "b", "c"] }]);
        const rowOf = new Map(rows.map((row) => [row.id, row]));
        await tx.index.setIndexed([
          { ...rowOf.get("a")!, indexed: 17 },
          { ...rowOf.get("b")!, indexed: rowOf.get("b")!.version },
        ]);
        const after = await tx.rowsOf([{ namespace: "tasks", ids: ["a", "b", "c"] }]);
        return new Map(after.map(({ id, indexed, version }) => [id, indexed === version ? "own" : indexed]));
      });
      assert.deepEqual(
        indexed,
        new Map<string, unknown>([
          ["a", 17],
          ["b", "own"],
          ["c", null],
        ]),
      );
    });

    test("a walk returns the versions that records are found by in order, each once, no record in two steps", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const store = await ledger.createStore();
      const ids = ["Z", "a", "b", "c", "é", "\uffee", "😀"];
      const part = (second: number, last_batch: boolean) =>
        store.sync({
          sync_mode: "full_refresh",
          sync_timestamp: `2025-11-11T10:30:0${second}Z`,
          last_batch,
          operations: ["a", "b", "c"].map((id) => upsert(id, { n: id === "c" ? 0 : second })),
        });
      await store.sync({ operations: [...ids, "new"].map((id) => upsert(id, { n: 0 })) });
      await store.sync({ operations: [upsert("x", {}, "notes")] });
      const first = await setIndexed(ledger, store, ids);
      await setIndexed(ledger, store, ["x"], "notes");
      // The record is found by its old content.
      await store.sync({ operations: [upsert("Z", { n: 1 })] });
      // The versions of "a" and "b" in two open runs are indexed too; "c" is unchanged in both runs.
      await part(1, false);
      await part(2, false);
      await setIndexed(ledger, store, ["a", "b", "c"]);

      for (const limit of [1, 2, 3, 4, 5, 100]) {
        const walked: string[] = [];
        const versions = new Set<number>();
        for (let after: { namespace: string; id: string } | null = null; ; ) {
          const step = await ledger.storage.index.indexedRecords(store.storeId, after, limit);
          const last = step.at(-1);
          if (!last) break;
          walked.push(...step.map(({ namespace, id }) => `${namespace} ${id}`));
          for (const { version } of step) versions.add(version);
          after = { namespace: last.namespace, id: last.id };
        }
        const expected = ["x", "Z", "a", "a", "a", "b", "b", "b", "c", "é", "\uffee", "😀"];
        assert.deepEqual(
          walked,
          expected.map((id) => `${id === "x" ? "notes" : "tasks"} ${id}`),
          `${limit} at once`,
        );
        assert.equal(versions.size, expected.length);
        assert.ok(versions.has(first.get("Z")!));
      }
    });
  });
}
