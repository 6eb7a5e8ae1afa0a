import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Storage } from "../../src/storage/port.ts";
import { encode } from "../../src/storage/sqlite/vector-scan.ts";
import { engines } from "../engines.ts";
import { BUILD, change, chunkOf, SEGMENT } from "../index-rows.ts";
import { openTestLedger, sweepAll, type TestStore } from "../test-ledger.ts";

const DAY_MS = 24 * 3_600_000;

/** Sweeps until nothing is left to sweep. */
async function sweepIndex(storage: Storage, now: number): Promise<void> {
  let more = true;
  for (let steps = 0; more; steps++) {
    assert.ok(steps < 1000, "sweeping did not end");
    ({ more } = await storage.index.sweep(now));
  }
}

async function countRows(storage: Storage, { storeId }: TestStore, table: string): Promise<number> {
  const [row] = await storage.read((sql) =>
    sql.all(`SELECT count(*) AS rows FROM ${table} WHERE store_id = $1`, [storeId]),
  );
  return Number(row!.rows);
}

const blocks = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ firstTerm: `term ${n}`, data: new Uint8Array(100) }));
const vectors = (...hashes: string[]) =>
  hashes.map((hash) => ({ hash, embedding: new Float32Array([1, 0, 0]) }));

for (const engine of engines) {
  describe(`${engine.name}: sweeping the index`, () => {
    test("merged segments are removed with all their blocks, and no others", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const store = await ledger.createStore();
      await change(ledger, store, async (index) => {
        await index.putBuild(BUILD);
        for (const [segment, state] of ["merged", "live", "merging", "merged"].entries()) {
          await index.putSegment(1, { ...SEGMENT, segment, state: state as "live" });
          await index.addBlocks(1, segment, blocks(segment === 3 ? 1200 : 3));
        }
      });
      await sweepIndex(ledger.storage, ledger.clock.now);
      const left = await ledger.storage.index.segments(store.storeId, 1);
      assert.deepEqual(
        left.map(({ segment, state }) => [segment, state]),
        [
          [1, "live"],
          [2, "merging"],
        ],
      );
      assert.equal(await countRows(ledger.storage, store, "segment_blocks"), 6);
    });

    test("a replaced build is removed, and the new one stays complete", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const store = await ledger.createStore();
      const count = 5000;
      await change(ledger, store, async (index) => {
        await index.putBuild({ ...BUILD, state: "retired" });
        await index.putBuild({ ...BUILD, build: 2 });
        for (const build of [1, 2]) {
          await index.addChunks(
            build,
            Array.from({ length: build === 1 ? count : 7 }, (_, chunk) => chunkOf(chunk, {})),
          );
          await index.putSegment(build, SEGMENT);
          await index.addBlocks(build, 1, blocks(5));
        }
      });
      await sweepIndex(ledger.storage, ledger.clock.now);
      const builds = await ledger.storage.index.builds(store.storeId);
      assert.deepEqual(
        builds.map(({ build }) => build),
        [2],
      );
      assert.equal(await countRows(ledger.storage, store, "chunks"), 7);
      assert.equal(await countRows(ledger.storage, store, "segments"), 1);
      assert.equal(await countRows(ledger.storage, store, "segment_blocks"), 5);
    });

    test("a vector that no chunk has is kept for a day, and others as long as a chunk has them", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const [store, other] = [await ledger.createStore(), await ledger.createStore()];
      const { now } = ledger.clock;
      const version = { namespace: "tasks", id: "r0", version: 0 };
      const old = Array.from({ length: 1200 }, (_, n) => `old ${n}`);
      for (const each of [store, other]) {
        await change(ledger, each, async (index) => {
          await index.putBuild({ ...BUILD, space: 1 });
          await index.putBuild({ ...BUILD, build: 2, space: 2, state: "building" });
          await index.addVectors(1, vectors("used", "used later", ...old));
          await index.addVectors(2, vectors("unused in its space"));
          const numbers = await index.findVectors(1, ["used"]);
          await index.addChunks(1, [chunkOf(0, { ...version, vector: numbers.get("used")! })]);
        });
      }
      // Vectors are checked a few at a time, whenever there is no other work.
      const sweepAll = async (at: number) => {
        for (let step = 0; step < 20; step++) await sweepIndex(ledger.storage, at);
      };
      const kept = async ({ storeId }: TestStore) =>
        [
          ...(await ledger.storage.index.findVectors(storeId, 1, ["used", "used later", ...old])).keys(),
        ].sort();
      await sweepAll(now);
      await sweepAll(now + DAY_MS - 1);
      assert.equal((await kept(store)).length, 1202, "a day is not over");
      // A vector that was in use at the first check is noted as unused at a later one.
      for (const each of [store, other]) {
        await change(ledger, each, async (index) => {
          await index.dropChunks([version]);
          const numbers = await index.findVectors(1, ["used later"]);
          await index.addChunks(1, [chunkOf(1, { vector: numbers.get("used later")! })]);
        });
      }
      await sweepAll(now + DAY_MS + 1);
      for (const each of [store, other]) {
        assert.deepEqual(await kept(each), ["used", "used later"]);
        assert.equal(
          (await ledger.storage.index.findVectors(each.storeId, 2, ["unused in its space"])).size,
          0,
        );
      }
      await sweepAll(now + 2 * DAY_MS + 2);
      assert.deepEqual(await kept(other), ["used later"]);
    });

    test("a failed entry becomes due when its content is gone", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const store = await ledger.createStore();
      const upsert = (id: string, n: number) => ({ action: "upsert", id, namespace: "tasks", data: { n } });
      await store.sync({ operations: [upsert("a", 1), upsert("b", 1)] });
      const entries = await ledger.storage.index.claim(store.storeId, 1000, 2000, 10);
      await ledger.storage.index.defer(
        store.storeId,
        entries.map(({ version }) => ({ version, attempts: 6, error: "no", dueAt: null })),
      );
      await sweepIndex(ledger.storage, ledger.clock.now);
      assert.deepEqual(await ledger.storage.index.claim(store.storeId, 3000, 4000, 10), []);
      await store.sync({ operations: [{ action: "delete", id: "a", namespace: "tasks" }] });
      await sweepIndex(ledger.storage, ledger.clock.now);
      const due = await ledger.storage.index.claim(store.storeId, 3000, 4000, 10);
      assert.deepEqual(
        due.map(({ id }) => id),
        ["a"],
      );
    });

    test("a deleted store's index is removed with the store", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const [gone, stays] = [await ledger.createStore(), await ledger.createStore()];
      for (const store of [gone, stays]) {
        await store.sync({ operations: [{ action: "upsert", id: "a", namespace: "tasks" }] });
        await change(ledger, store, async (index) => {
          await index.putBuild({ ...BUILD, space: 1 });
          await index.addVectors(1, vectors("a", "unused"));
          const numbers = await index.findVectors(1, ["a"]);
          await index.addChunks(1, [chunkOf(0, { vector: numbers.get("a")! })]);
          await index.putSegment(1, SEGMENT);
          await index.addBlocks(1, 1, blocks(3));
        });
      }
      for (const _ of [gone, stays]) await sweepIndex(ledger.storage, ledger.clock.now);
      const tables = await engine.storeTables(ledger.storage);
      const counts = (store: TestStore) =>
        Promise.all(tables.map((table) => countRows(ledger.storage, store, table)));
      const before = await counts(stays);
      await ledger.commands.deleteVectorStore(gone.organizationId, gone.storeId, ledger.clock.now);
      await sweepAll(ledger.storage, ledger.clock.now);
      await sweepIndex(ledger.storage, ledger.clock.now);
      assert.deepEqual(
        await counts(gone),
        tables.map(() => 0),
      );
      assert.deepEqual(await counts(stays), before);
    });
  });
}

test("SQLite: the codes of removed vectors are removed, and other codes stay unchanged", async (t) => {
  const ledger = await openTestLedger(t, engines[0]!);
  const { storage, clock } = ledger;
  const stores = [await ledger.createStore(), await ledger.createStore()];
  // Of three blocks, the first loses all vectors, the second all but two, the third every other one.
  const used = (vector: number) => (vector < 1024 ? [600, 1023].includes(vector) : vector % 2 === 0);
  const embeddings = Array.from({ length: 1500 }, (_, n) => {
    const angle = n / 100;
    return Float32Array.of(Math.cos(angle), Math.sin(angle), 0, 0, 0);
  });
  const add = (store: TestStore, from: number, to: number) =>
    change(ledger, store, async (index) => {
      await index.putBuild({ ...BUILD, space: 1 });
      const added = embeddings.slice(from, to).map((embedding, n) => ({ hash: `${from + n}`, embedding }));
      await index.addVectors(1, added);
      const found = await index.findVectors(
        1,
        added.map(({ hash }) => hash),
      );
      await index.addChunks(
        1,
        [...found.values()].filter(used).map((vector) => chunkOf(vector, { vector })),
      );
    });
  const codes = async ({ storeId }: TestStore) => {
    const rows = await storage.read((sql) =>
      sql.all(
        `SELECT block, hex(places) AS places, hex(codes) AS codes, hex(scales) AS scales
         FROM vector_codes WHERE store_id = $1 ORDER BY block`,
        [storeId],
      ),
    );
    const all = new Map<number, string>();
    for (const { block, places, codes, scales } of rows) {
      const [ofEach, scaleOfEach] = [codes, scales].map((hex) => Buffer.from(String(hex), "hex"));
      const numbers = Buffer.from(String(places), "hex");
      for (let at = 0; at < numbers.length / 2; at++) {
        const code = ofEach!.subarray(2 * at, 2 * at + 2).toString("hex");
        all.set(
          512 * Number(block) + numbers.readUInt16LE(2 * at),
          `${code} ${scaleOfEach!.readFloatLE(4 * at)}`,
        );
      }
      assert.deepEqual([ofEach!.length, scaleOfEach!.length], [numbers.length, 2 * numbers.length]);
    }
    return all;
  };
  const expected = (vectors: number[]) =>
    new Map(
      vectors.map((vector) => {
        const { code, scale } = encode(embeddings[vector]!);
        return [vector, `${Buffer.from(code).toString("hex")} ${Math.fround(scale)}`];
      }),
    );
  for (const store of stores) await add(store, 0, 1400);
  for (const at of [clock.now, clock.now + DAY_MS + 1])
    for (let step = 0; step < 20; step++) await sweepIndex(storage, at);
  const kept = [...embeddings.keys()].filter(used);
  for (const store of stores) {
    assert.deepEqual(await codes(store), expected(kept.filter((n) => n < 1400)));
  }
  assert.equal(await countRows(storage, stores[0]!, "vector_codes"), 2, "a block that has none is gone");
  // 1399 is gone, so the next vector gets its number.
  await add(stores[0]!, 1399, 1500);
  const numbers = [...kept.filter((n) => n < 1400), ...[...embeddings.keys()].slice(1399)];
  assert.deepEqual(await codes(stores[0]!), expected(numbers));
  assert.equal((await codes(stores[1]!)).size, kept.filter((n) => n < 1400).length);
});
