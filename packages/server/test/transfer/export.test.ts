import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openStorage } from "../../src/storage/open.ts";
import { type ExportOptions, exportStores } from "../../src/transfer/export.ts";
import { findResumable } from "../../src/transfer/resume.ts";
import { engines } from "../engines.ts";
import { ledgerOver, storeOf } from "../test-ledger.ts";
import { whenDone } from "../when-done.ts";
import {
  exportToBuffer,
  inPieces,
  openRichLedger,
  openTarget,
  readStoreRows,
  remove,
  upsert,
} from "./rich-ledger.ts";

const OPTIONS = { version: "test", now: 1 };

for (const engine of engines) {
  describe(`${engine.name}: an export`, () => {
    test("is one snapshot of a store while syncs continue", async (t) => {
      const source = await openRichLedger(t, engine);
      const second = await openStorage(source.databaseUrl);
      whenDone(t, () => second.close());
      const { one } = source;
      const before = await readStoreRows(source, one);
      const writer = storeOf(ledgerOver(second).commands, one);
      const parts: string[] = [];
      let syncs = 0;
      const sink = async (text: string) => {
        parts.push(text);
        if (!text.startsWith('{"page"')) return;
        syncs++;
        const operations = [
          upsert(`during ${syncs}`, "!"),
          remove("r4"),
          upsert("later", "tasks", { syncs }),
        ];
        await writer.sync({ sync_timestamp: "2025-11-11T11:00:00Z", operations });
      };
      await exportStores(source.storage, sink, { ...OPTIONS, store: one.storeId });
      assert.ok(syncs > 5);
      const target = await openTarget(t, engines[0]!);
      await target.import(Buffer.from(parts.join("")));
      assert.deepEqual(await readStoreRows(target, one), before);
    });

    test("of one store contains nothing of another organization", async (t) => {
      const { storage, one, two } = await openRichLedger(t, engine);
      const text = (await exportToBuffer(storage, two.storeId)).toString();
      for (const id of [one.storeId, one.organizationId, one.connectorId]) assert.ok(!text.includes(id));
      for (const { key } of [one, two]) assert.ok(!text.includes(key), "keys are hashes");
      await assert.rejects(
        exportToBuffer(storage, "vs_unknown"),
        /^Error: There is no vector store vs_unknown\.$/,
      );
    });

    test("that failed in the middle is not retried", async (t) => {
      const { storage } = await openRichLedger(t, engine);
      let pages = 0;
      const failing = async (text: string) => {
        if (text.startsWith('{"page"') && ++pages === 3)
          throw Object.assign(new Error("full"), { code: "40001" });
      };
      await assert.rejects(exportStores(storage, failing, OPTIONS), /^Error: full$/);
      assert.equal(pages, 3);
    });

    test("continues after the stores that are complete and unchanged", async (t) => {
      const source = await openRichLedger(t, engine);
      const { storage, one, two } = source;
      const lines = (await exportToBuffer(storage)).toString().split("\n");
      const [first, second] = [one, two].sort((a, b) => (a.storeId < b.storeId ? -1 : 1)) as [
        typeof one,
        typeof two,
      ];
      const inSecond =
        lines.findIndex((line) => line.includes(`"section":"store","id":"${second.storeId}"`)) + 3;
      const partial = Buffer.from(lines.slice(0, inSecond).join("\n"));
      const find = (options: Partial<ExportOptions> = {}) =>
        findResumable(storage, inPieces(partial), { ...OPTIONS, ...options });

      await second.sync({ operations: [upsert("between", "tasks")], sync_timestamp: "2025-11-11T11:00:00Z" });
      const resume = await find();
      assert.deepEqual(resume?.stores, [first.storeId]);
      const parts = [partial.subarray(0, resume!.position.bytes).toString()];
      const options = { ...OPTIONS, resume };
      const { stores } = await exportStores(storage, async (text) => void parts.push(text), options);
      assert.equal(stores, 2);
      const target = await openTarget(t, engines[0]!);
      await target.import(Buffer.from(parts.join("")));
      for (const store of [one, two]) {
        assert.deepEqual(await readStoreRows(target, store), await readStoreRows(source, store));
      }

      assert.equal(await find({ store: one.storeId }), undefined, "a different selection");
      assert.equal(await find({ version: "other" }), undefined, "a different version");
      await first.sync({ operations: [] });
      assert.equal(await find(), undefined, "the first store has changed");
    });

    test("starts over if a store was created since", async (t) => {
      const { storage, createStore } = await openRichLedger(t, engine);
      const bytes = await exportToBuffer(storage);
      assert.equal((await findResumable(storage, inPieces(bytes), OPTIONS))?.stores.length, 2);
      await createStore();
      assert.equal(await findResumable(storage, inPieces(bytes), OPTIONS), undefined);
    });
  });
}

test("PostgreSQL: a slow reader does not lose the snapshot", async (t) => {
  const engine = engines.find(({ name }) => name === "PostgreSQL")!;
  const storage = await openStorage(await engine.createDatabase(t));
  whenDone(t, () => storage.close());
  const idleLimit = "SELECT current_setting('idle_in_transaction_session_timeout') AS value";
  const [slow] = await storage.readSlowly((sql) => sql.all(idleLimit));
  assert.equal(slow!.value, "0");
  const [quick] = await storage.read((sql) => sql.all(idleLimit));
  assert.equal(quick!.value, "10s");
});
