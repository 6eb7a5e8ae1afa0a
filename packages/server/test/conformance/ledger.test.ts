import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ApiError } from "@tidemark/protocol/errors";
import { openStorage } from "../../src/storage/open.ts";
import type { Storage } from "../../src/storage/port.ts";
import { engines } from "../engines.ts";
import { readRecords } from "../model/ledger-rows.ts";
import { ledgerOver, openTestLedger, storeOf, type TestStore } from "../test-ledger.ts";
import { whenDone } from "../when-done.ts";

const upsert = (id: string, data: object = {}, namespace = "tasks") => ({
  action: "upsert",
  id,
  namespace,
  data,
});
const remove = (id: string, namespace = "tasks") => ({ action: "delete", id, namespace });
const numbered = (count: number) => Array.from({ length: count }, (_, index) => `id-${index}`);

async function idsOf(storage: Storage, store: TestStore): Promise<string[]> {
  const records = await readRecords(storage, store.storeId);
  return records.map(({ id }) => id).sort();
}

for (const engine of engines) {
  describe(`${engine.name}: the ledger`, () => {
    test("a sync that fails at its end leaves nothing behind", async (t) => {
      const { storage, commands, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      await store.sync({ operations: [upsert("kept", { n: 1 }), upsert("gone", { n: 1 })] });
      const before = await readRecords(storage, store.storeId);

      const failing = {
        ledger: (storeId: string, work: Parameters<Storage["ledger"]>[1]) =>
          storage.ledger(storeId, async (tx) => {
            await work(tx);
            throw new Error("after every write");
          }),
      } as Pick<Storage, "ledger"> as Storage;
      const cutShort = storeOf(ledgerOver(failing).commands, store);
      const operations = [upsert("kept", { n: 2 }), remove("gone"), upsert("new", {}, "other")];
      for (const sync_mode of ["incremental", "full_refresh"] as const) {
        await assert.rejects(cutShort.sync({ sync_mode, operations }), /after every write/);
      }

      assert.deepEqual(await readRecords(storage, store.storeId), before);
      assert.deepEqual((await store.checkExists("other", ["new"])).existing_ids, []);
      assert.equal(await store.recordCount(), 2);
      assert.equal(await commands.countRecords(), 2);
    });

    test("a failed write over organizations, stores and keys leaves nothing behind", async (t) => {
      const { storage, commands } = await openTestLedger(t, engine);
      const now = Date.now();
      const failing = storage.write(async (sql) => {
        await sql.all("INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, $3)", [
          "org_x",
          "X",
          now,
        ]);
        assert.equal((await sql.all("SELECT id FROM organizations")).length, 1);
        throw new Error("after the write");
      });
      await assert.rejects(failing, /after the write/);
      assert.deepEqual((await commands.listOrganizations({})).data, []);
    });

    test("each store has revisions of its own, without gaps, even if syncs fail between them", async (t) => {
      const { storage, createStore } = await openTestLedger(t, engine);
      const [first, second] = [await createStore(), await createStore()];
      const take = (store: TestStore, fails: boolean) =>
        storage.ledger(store.storeId, async (tx) => {
          const revision = await tx.nextRevision();
          if (fails) throw new Error("rolled back");
          return revision;
        });
      const calls = Array.from({ length: 30 }, (_, index) =>
        take(index % 2 ? first : second, index % 3 === 0),
      );
      const revisions = await Promise.allSettled(calls);
      for (const parity of [0, 1]) {
        const taken = revisions.flatMap((result, index) =>
          result.status === "fulfilled" && index % 2 === parity ? [result.value] : [],
        );
        assert.deepEqual(
          taken.sort((a, b) => a - b),
          Array.from({ length: 10 }, (_, index) => index + 1),
        );
      }
    });

    test("readers see a sync only after it is committed", async (t) => {
      const { databaseUrl, storage, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      await store.sync({ operations: [upsert("old")] });
      const elsewhere = await openStorage(databaseUrl);
      whenDone(t, () => elsewhere.close());
      const live = () => elsewhere.liveIds(store.storeId, "tasks", ["old", "new"]);

      const written = Promise.withResolvers<void>();
      const mayCommit = Promise.withResolvers<void>();
      const held = {
        ledger: (storeId: string, work: Parameters<Storage["ledger"]>[1]) =>
          storage.ledger(storeId, async (tx) => {
            const result = await work(tx);
            written.resolve();
            await mayCommit.promise;
            return result;
          }),
      } as Pick<Storage, "ledger"> as Storage;
      const refresh = storeOf(ledgerOver(held).commands, store).sync({
        sync_mode: "full_refresh",
        operations: [upsert("new")],
      });
      await written.promise;
      assert.deepEqual([...(await live())], ["old"]);
      mayCommit.resolve();
      await refresh;
      assert.deepEqual([...(await live())], ["new"]);
    });

    test("a read sees one committed state from beginning to end", async (t) => {
      const { databaseUrl, storage, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      await store.sync({ operations: [upsert("a"), upsert("b")] });
      const elsewhere = await openStorage(databaseUrl);
      whenDone(t, () => elsewhere.close());
      await elsewhere.read(async (sql) => {
        const counts = () => sql.all("SELECT records FROM namespaces WHERE store_id = $1", [store.storeId]);
        const before = await counts();
        await store.sync({ sync_mode: "full_refresh", operations: [upsert("c")] });
        assert.deepEqual(await counts(), before);
      });
      assert.deepEqual(await idsOf(storage, store), ["c"]);
    });

    test("5000 operations are written, changed, carried and removed in one request each", async (t) => {
      const { storage, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      const ids = numbered(5000);
      const all = (data: object) => ids.map((id) => upsert(id, data));
      const steps = [
        [{ operations: all({ n: 1 }) }, { created: 5000 }],
        [{ operations: all({ n: 1 }) }, { unchanged: 5000 }],
        [{ operations: all({ n: 2 }) }, { updated: 5000 }],
        [{ sync_mode: "full_refresh", operations: all({ n: 2 }) }, { unchanged: 5000 }],
        [{ sync_mode: "full_refresh", operations: all({ n: 3 }) }, { updated: 5000 }],
        [{ operations: ids.map((id) => remove(id)) }, { removed: 5000 }],
        [{ operations: ids.map((id) => remove(id)) }, { absent: 5000 }],
        [{ operations: all({ n: 4 }) }, { created: 5000 }],
        [{ sync_mode: "full_refresh", namespaces: ["tasks"] }, { cleared: 5000 }],
      ] as const;
      for (const [fields, expected] of steps) {
        const { changes } = await store.sync(fields as Parameters<TestStore["sync"]>[0]);
        const counted = Object.entries(changes).filter(([, count]) => count > 0);
        assert.deepEqual(Object.fromEntries(counted), expected);
        const live = "removed" in expected || "absent" in expected || "cleared" in expected ? 0 : 5000;
        assert.equal((await store.checkExists("tasks", ids)).existing_ids.length, live);
        assert.equal((await readRecords(storage, store.storeId)).length, live);
      }
    });

    test("ids and namespaces are compared byte for byte, whatever their characters", async (t) => {
      const { storage, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      const odd = [
        ..."a,A,\u00c5,\u212b,ß,ss,ſ,i,ı,1,01,1.0,null,true,%,_,a%,$1,?1,:a,\\,\\\\,/,--,;,*".split(","),
        ...[`'`, `''`, `"`, "`", `{"a":1}`, "[1]", `\\u0041`, "a,b", "<b>", "&amp;"],
        ...[
          " ",
          "  ",
          " a",
          "a ",
          "a\n",
          "a\r\n",
          "\t",
          "\u0001",
          "\u007f",
          "\u00a0",
          "\u200b",
          "\ufeff",
          "\ufeffa",
        ],
        ...["__proto__", "constructor", "toString", "hasOwnProperty", "length"],
        ...[
          "\ud7ff",
          "\ue000",
          "\ufffd",
          "\ufffe",
          "\uffff",
          "😀",
          "👩‍💻",
          "👩",
          "\u{10ffff}",
          "e\u0301",
          "é",
        ],
        ...["x".repeat(255), "x".repeat(254), "\u{10ffff}".repeat(255), "'".repeat(255)],
      ];
      assert.equal(new Set(odd).size, odd.length);
      const absent = ["b", "%%", "__Proto__", "\ufffc", "\u{10fffe}", "x".repeat(253), "😁"];

      await store.sync({ operations: odd.map((id) => upsert(id, { of: id }, "odd")) });
      const { changes } = await store.sync({
        operations: odd.map((namespace) => upsert("one", { of: namespace }, namespace)),
      });
      assert.equal(changes.created, odd.length);
      const { existing_ids, new_ids } = await store.checkExists("odd", [...absent, ...odd]);
      assert.deepEqual(existing_ids, odd);
      assert.deepEqual(new_ids, absent);

      const records = await readRecords(storage, store.storeId);
      const contents = new Map(
        records.map(({ namespace, id, content }) => [namespace === "odd" ? id : namespace, content]),
      );
      for (const text of odd) assert.deepEqual(contents.get(text), { data: { of: text } });

      await store.sync({
        operations: odd.map((id, index) => (index % 2 ? remove(id, "odd") : upsert(id, {}, "odd"))),
      });
      const half = odd.filter((_, index) => index % 2 === 0);
      assert.deepEqual((await store.checkExists("odd", odd)).existing_ids, half);
      await store.sync({ sync_mode: "full_refresh", namespaces: half });
      for (const namespace of odd.slice(0, 40)) {
        const { existing_ids } = await store.checkExists(namespace, ["one"]);
        assert.deepEqual(existing_ids, half.includes(namespace) ? [] : ["one"]);
      }
    });

    test("stores never see each other's rows", async (t) => {
      const { storage, clock, createStore } = await openTestLedger(t, engine);
      const [first, second] = [await createStore(), await createStore()];
      await second.sync({ operations: [upsert("a", { store: "second" }), upsert("b"), remove("c")] });
      const before = await readRecords(storage, second.storeId);

      await first.sync({ operations: [upsert("a", { store: "first" }), upsert("c")] });
      assert.deepEqual((await first.checkExists("tasks", ["a", "b", "c"])).existing_ids, ["a", "c"]);
      await first.sync({ operations: [remove("b"), upsert("b"), upsert("a", { n: 2 })] });
      await first.sync({
        sync_mode: "full_refresh",
        sync_timestamp: "2025-11-11T10:31:00Z",
        operations: [upsert("d")],
      });
      await first.sync({
        sync_mode: "full_refresh",
        sync_timestamp: "2025-11-11T10:32:00Z",
        namespaces: ["tasks"],
      });
      while ((await storage.sweep(clock.now)).more);

      assert.deepEqual(await readRecords(storage, second.storeId), before);
      assert.deepEqual((await second.checkExists("tasks", ["a", "b", "c", "d"])).existing_ids, ["a", "b"]);
      assert.deepEqual([await first.recordCount(), await second.recordCount()], [0, 2]);
      // A refresh in one store makes nothing stale in the second.
      const { changes } = await second.sync({ operations: [upsert("e")] });
      assert.equal(changes.created, 1);
    });

    test("50 concurrent syncs lose no count, and each decides their shared record once", async (t) => {
      const { storage, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, sync) =>
          store.sync({
            sync_timestamp: `2025-11-11T10:30:00.${String(sync).padStart(9, "0")}Z`,
            operations: [
              ...numbered(20).map((id) => upsert(`${sync}-${id}`)),
              upsert("shared", { sync }),
              ...(sync % 2 ? [remove(`${sync}-id-0`)] : []),
            ],
          }),
        ),
      );
      const total = (name: keyof (typeof answers)[0]["changes"]) =>
        answers.reduce((sum, { changes }) => sum + changes[name], 0);
      assert.equal(total("created") + total("absent"), 50 * 20 + 1);
      assert.equal(total("created") + total("updated") + total("stale"), 50 * 20 - 25 + 50);
      const records = await readRecords(storage, store.storeId);
      assert.equal(records.length, 50 * 20 - 25 + 1);
      assert.equal(await store.recordCount(), records.length);
      const shared = records.find(({ id }) => id === "shared");
      assert.deepEqual(shared?.content, { data: { sync: 49 } });
    });

    test("timestamps are compared to the nanosecond", async (t) => {
      const { storage, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      const at = (nanoseconds: number) => `2025-11-11T10:30:00.${String(nanoseconds).padStart(9, "0")}Z`;
      const current = async () => {
        const [record] = await readRecords(storage, store.storeId);
        return (record?.content as { data: { n: number } } | undefined)?.data.n;
      };
      await store.sync({ sync_timestamp: at(2), operations: [upsert("a", { n: 2 })] });
      await store.sync({ sync_timestamp: at(1), operations: [upsert("a", { n: 1 })] });
      assert.equal(await current(), 2);
      await store.sync({ sync_timestamp: at(3), operations: [upsert("a", { n: 3 })] });
      assert.equal(await current(), 3);

      const refresh = (nanoseconds: number, n: number) =>
        store.sync({
          sync_mode: "full_refresh",
          sync_timestamp: at(nanoseconds),
          operations: [upsert("a", { n })],
        });
      assert.equal((await refresh(2, 4)).changes.stale, 1);
      assert.equal((await refresh(4, 4)).changes.updated, 1);
      await assert.rejects(refresh(3, 5), (error: ApiError) => error.code === "STALE_SYNC");
      const late = await store.sync({ sync_timestamp: at(3), operations: [upsert("b")] });
      assert.equal(late.changes.stale, 1);
      const latest = await store.sync({ sync_timestamp: at(4), operations: [upsert("b")] });
      assert.equal(latest.changes.created, 1);
    });

    test("a sync to a deleted store is rejected", async (t) => {
      const { commands, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      await commands.deleteVectorStore(store.organizationId, store.storeId, Date.now());
      await assert.rejects(
        store.sync({ operations: [upsert("a")] }),
        (error) => error instanceof ApiError && error.code === "INSUFFICIENT_PERMISSIONS",
      );
    });
  });
}
