import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { Client } from "pg";
import type { Sql } from "../../src/storage/port.ts";
import { Connections } from "../../src/storage/postgres/connections.ts";
import { readPostgresUrl } from "../../src/storage/postgres/url.ts";
import { VectorIndexes } from "../../src/storage/postgres/vector-indexes.ts";
import { nearestChunks } from "../../src/storage/postgres/vectors.ts";
import { BUILD, change, chunkOf } from "../index-rows.ts";
import { pgvector } from "../pgvector-engine.ts";
import { openTestLedger } from "../test-ledger.ts";
import { whenDone } from "../when-done.ts";

const SPACE = { ...BUILD, space: 1 };
const VECTORS = 400;
const DEGREES = Math.PI / 180;

/** Vectors evenly spaced on a circle, in any number of dimensions. */
function onCircle(number: number, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  const angle = (number * 360 * DEGREES) / VECTORS;
  vector[0] = Math.cos(angle);
  vector[dimensions - 1] = Math.sin(angle);
  return vector;
}

/** A store with VECTORS chunks on a circle, every tenth in another namespace, and its vector indexes. */
async function openCircle(t: TestContext, dimensions = 3) {
  const ledger = await openTestLedger(t, pgvector);
  const store = await ledger.createStore();
  const embeddings = Array.from({ length: VECTORS }, (_, number) => onCircle(number, dimensions));
  await change(ledger, store, async (index) => {
    await index.putBuild(SPACE);
    await index.addVectors(
      1,
      embeddings.map((embedding, number) => ({ hash: `hash ${number}`, embedding })),
    );
    const vectors = await index.findVectors(
      1,
      embeddings.map((_, number) => `hash ${number}`),
    );
    await index.addChunks(
      1,
      embeddings.map((_, chunk) =>
        chunkOf(chunk, {
          vector: vectors.get(`hash ${chunk}`)!,
          namespace: chunk % 10 === 5 ? "tenth" : "tasks",
        }),
      ),
    );
  });
  const connections = new Connections({
    ...readPostgresUrl(ledger.databaseUrl),
    connections: 2,
    timeoutMs: 10_000,
  });
  whenDone(t, () => connections.close());
  const indexes = new VectorIndexes(connections, VECTORS - 1);
  const read = (work: (sql: Sql) => Promise<unknown>) => ledger.storage.read(work);
  return {
    ...{ ledger, store, connections, indexes },
    /** The store's indexes, and whether each is complete. */
    made: () =>
      read((sql) =>
        sql.all(
          `SELECT c.relname AS name, i.indisvalid AS valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
           WHERE c.relnamespace = current_schema()::regnamespace AND c.relname LIKE 'vectors_near%'`,
        ),
      ),
    nearest: (number: number, namespaces: string[] | null, limit: number) =>
      connections.transaction("read", (tx) => {
        const query = onCircle(number, dimensions);
        return nearestChunks(tx, { storeId: store.storeId, build: SPACE, query, namespaces, limit }, 0);
      }),
    /** Runs a statement on a connection of its own. */
    async alone(text: string) {
      const { connectionString } = readPostgresUrl(ledger.databaseUrl);
      const client = new Client({ connectionString });
      await client.connect();
      await client.query(text).finally(() => client.end());
    },
  };
}

describe("PostgreSQL with pgvector: indexes of large spaces", () => {
  test("a space that has become large gets one index", async (t) => {
    const { store, connections, indexes, made } = await openCircle(t);
    const others = new VectorIndexes(connections, VECTORS);
    assert.equal(await others.maintain(store.storeId), null);
    await others.settled();
    assert.deepEqual(await made(), []);

    const second = new VectorIndexes(connections, VECTORS - 1);
    const both = [indexes, second];
    assert.deepEqual(await Promise.all(both.map((one) => one.maintain(store.storeId))), [null, null]);
    await Promise.all(both.map((one) => one.settled()));
    const expected = [{ name: `vectors_near_${store.storeId}_1`, valid: 1 }];
    assert.deepEqual(await made(), expected);
    assert.equal(await indexes.maintain(store.storeId), null);
    await indexes.settled();
    assert.deepEqual(await made(), expected);
  });

  for (const dimensions of [3, 2500]) {
    test(`search finds the same chunks with an index as without, at ${dimensions} dimensions`, async (t) => {
      const { store, indexes, made, nearest } = await openCircle(t, dimensions);
      const ask = async () => [
        await nearest(7, null, 5),
        await nearest(7, ["tasks", "tenth"], 5),
        // The filter leaves nine of ten out.
        await nearest(200, ["tenth"], 30),
        await nearest(200, ["none"], 5),
      ];
      const before = await ask();
      await indexes.maintain(store.storeId);
      await indexes.settled();
      assert.equal(((await made()) as unknown[]).length, 1);
      const after = await ask();
      const chunks = (answers: typeof before) =>
        answers.map((near) => near.map(({ chunk }) => chunk).sort((a, b) => a - b));
      assert.deepEqual(chunks(after), chunks(before));
      assert.deepEqual(chunks(after)[0], [5, 6, 7, 8, 9]);
      assert.deepEqual(chunks(after)[3], []);
      for (const [at, near] of after.entries()) {
        for (const [rank, { score }] of near.entries()) {
          assert.ok(Math.abs(score - before[at]![rank]!.score) < 1e-6);
        }
      }
    });
  }

  test("an unfinished index is created again", async (t) => {
    const { store, indexes, made, alone } = await openCircle(t);
    await indexes.maintain(store.storeId);
    await indexes.settled();
    const name = `vectors_near_${store.storeId}_1`;
    await alone(
      `UPDATE pg_index SET indisvalid = false
       WHERE indexrelid = (SELECT oid FROM pg_class WHERE relname = '${name}')`,
    );
    assert.deepEqual(await made(), [{ name, valid: 0 }]);
    await indexes.maintain(store.storeId);
    await indexes.settled();
    assert.deepEqual(await made(), [{ name, valid: 1 }]);
  });

  test("an index is removed only when no build uses its space any longer", async (t) => {
    const { ledger, store, indexes, made } = await openCircle(t);
    await indexes.maintain(store.storeId);
    await indexes.settled();
    assert.equal(await indexes.sweep(), false);
    await change(ledger, store, (index) => index.putBuild({ ...SPACE, build: 2, state: "building" }));
    await change(ledger, store, (index) => index.putBuild({ ...SPACE, state: "retired" }));
    assert.equal(await indexes.sweep(), false);
    await change(ledger, store, (index) => index.putBuild({ ...BUILD, build: 2 }));
    while ((await ledger.storage.index.sweep(ledger.clock.now)).more);
    assert.deepEqual(await made(), []);
    assert.equal(await indexes.sweep(), false);
  });

  test("a failed index is reported, and not retried immediately", async (t) => {
    const { store, indexes, made, alone, ledger } = await openCircle(t);
    const { schema } = readPostgresUrl(ledger.databaseUrl);
    // Another relation already has the index's name.
    await alone(`CREATE VIEW ${schema}.vectors_near_${store.storeId}_1 AS SELECT 1`);
    assert.equal(await indexes.maintain(store.storeId), null);
    await indexes.settled();
    assert.match((await indexes.maintain(store.storeId))!, /cannot be created: .*vectors_near_/);
    await alone(`DROP VIEW ${schema}.vectors_near_${store.storeId}_1`);
    await indexes.maintain(store.storeId);
    await indexes.settled();
    assert.deepEqual(await made(), []);
  });
});
