import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { TestEngine } from "../engines.ts";
import { BUILD, change, chunkOf, look } from "../index-rows.ts";
import { vectorEngines } from "../pgvector-engine.ts";
import { openTestLedger, type TestLedger, type TestStore } from "../test-ledger.ts";

const SPACE = { ...BUILD, space: 1 };

/** Numbers that are the same in every run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return state / 0x8000_0000 - 0.5;
  };
}

function ofLengthOne(values: number[]): Float32Array {
  const length = Math.hypot(...values);
  return Float32Array.from(values, (value) => value / length);
}

/** A vector in the plane at an angle, in degrees, to the first axis. */
const atAngle = (degrees: number, dimensions = 3): Float32Array => {
  const vector = new Float32Array(dimensions);
  vector[0] = Math.cos((degrees * Math.PI) / 180);
  vector[1] = Math.sin((degrees * Math.PI) / 180);
  return vector;
};

/** Gives chunks, numbered from 0, vectors of their own in space 1. */
async function addChunks(
  ledger: TestLedger,
  store: TestStore,
  embeddings: Float32Array[],
  namespaceOf: (chunk: number) => string = () => "tasks",
): Promise<void> {
  await change(ledger, store, async (index) => {
    await index.putBuild({ ...SPACE, chunks: embeddings.length });
    const hashes = embeddings.map((_, chunk) => `hash ${chunk}`);
    const vectors = embeddings.map((embedding, chunk) => ({ hash: hashes[chunk]!, embedding }));
    await index.addVectors(1, vectors);
    const found = await index.findVectors(1, hashes);
    await index.addChunks(
      1,
      hashes.map((hash, chunk) =>
        chunkOf(chunk, { namespace: namespaceOf(chunk), vector: found.get(hash)! }),
      ),
    );
  });
}

const nearest = (
  ledger: TestLedger,
  store: TestStore,
  query: Float32Array,
  namespaces: string[] | null,
  limit: number,
  chunks = 0,
) => look(ledger, store, (index) => index.nearest({ ...SPACE, chunks }, query, namespaces, limit));

async function open(t: TestContext, engine: TestEngine) {
  const ledger = await openTestLedger(t, engine);
  return { ledger, store: await ledger.createStore() };
}

for (const engine of vectorEngines) {
  describe(`${engine.name}: nearest vectors`, () => {
    test("chunks come best first with their cosine, up to the limit", async (t) => {
      const { ledger, store } = await open(t, engine);
      const angles = [50, 10, 180, 30, 0, 90];
      await addChunks(
        ledger,
        store,
        angles.map((angle) => atAngle(angle)),
      );
      const near = await nearest(ledger, store, atAngle(0), null, 4);
      assert.deepEqual(
        near.map(({ chunk }) => angles[chunk]),
        [0, 10, 30, 50],
      );
      for (const { chunk, score } of near) {
        assert.ok(Math.abs(score - atAngle(angles[chunk]!)[0]!) < 1e-6, `${score}`);
      }
      const all = await nearest(ledger, store, atAngle(0), null, 100);
      assert.deepEqual(
        all.map(({ chunk }) => angles[chunk]),
        angles.toSorted((a, b) => a - b),
      );
      assert.ok(Math.abs(all.at(-1)!.score + 1) < 1e-6);
      assert.deepEqual(await look(ledger, store, (index) => index.nearest(BUILD, atAngle(0), null, 4)), []);
    });

    test("only the given namespaces and the given build are searched", async (t) => {
      const { ledger, store } = await open(t, engine);
      const names = ["tasks", "notes", "others"];
      const vectors = Array.from({ length: 90 }, (_, chunk) => atAngle(chunk));
      await addChunks(ledger, store, vectors, (chunk) => names[chunk % 3]!);
      await change(ledger, store, async (index) => {
        const vector = (await index.findVectors(1, ["hash 1"])).get("hash 1")!;
        await index.addChunks(2, [chunkOf(1000, { vector, namespace: "notes" })]);
        await index.addVectors(2, [{ hash: "other space", embedding: atAngle(0) }]);
      });
      const chunks = async (namespaces: string[] | null, limit: number) =>
        (await nearest(ledger, store, atAngle(0), namespaces, limit)).map(({ chunk }) => chunk);
      assert.deepEqual(await chunks(["notes"], 3), [1, 4, 7]);
      assert.deepEqual(await chunks(["notes", "others", "none"], 4), [1, 2, 4, 5]);
      assert.deepEqual(
        await chunks(["notes"], 100),
        Array.from({ length: 30 }, (_, n) => 3 * n + 1),
      );
      assert.deepEqual(await chunks(["none"], 3), []);
      assert.deepEqual(await chunks([], 3), []);
      assert.deepEqual(await chunks(null, 4), [0, 1, 2, 3]);
    });

    test("every chunk with the vector is found, and chunks without a vector are not", async (t) => {
      const { ledger, store } = await open(t, engine);
      await addChunks(ledger, store, [atAngle(0), atAngle(90)]);
      await change(ledger, store, async (index) => {
        const found = await index.findVectors(1, ["hash 1"]);
        const vector = found.get("hash 1")!;
        await index.addChunks(1, [
          chunkOf(7, { vector, namespace: "notes" }),
          chunkOf(8, { vector: null }),
          chunkOf(9, { vector, id: "b" }),
        ]);
      });
      const chunks = async (namespaces: string[] | null, limit: number) =>
        (await nearest(ledger, store, atAngle(90), namespaces, limit)).map(({ chunk }) => chunk);
      assert.deepEqual(await chunks(null, 10), [1, 7, 9, 0]);
      assert.deepEqual(await chunks(["tasks"], 10), [1, 9, 0]);
    });

    test("chunks are found behind any number of nearer vectors that are not theirs", async (t) => {
      const { ledger, store } = await open(t, engine);
      const next = numbers(7);
      const random = (around = 0) =>
        ofLengthOne(Array.from({ length: 64 }, (_, at) => (at === 0 ? around : 0) + next()));
      const query = ofLengthOne(Array.from({ length: 64 }, (_, at) => (at === 0 ? 1 : 0)));
      const far = Array.from({ length: 500 }, () => random());
      await addChunks(ledger, store, far);
      await change(ledger, store, async (index) => {
        const near = Array.from({ length: 1500 }, (_, n) => ({ hash: `near ${n}`, embedding: random(9) }));
        await index.addVectors(1, near);
        const found = await index.findVectors(
          1,
          near.slice(0, 700).map(({ hash }) => hash),
        );
        const ofAnother = [...found.values()].map((vector, chunk) => chunkOf(chunk, { vector }));
        await index.addChunks(2, ofAnother);
      });
      const best = [...far.keys()].toSorted((a, b) => far[b]![0]! - far[a]![0]!);
      for (const limit of [20, 100, 500, 501]) {
        const found = await nearest(ledger, store, query, null, limit);
        assert.deepEqual(
          found.map(({ chunk }) => chunk),
          best.slice(0, limit),
        );
      }
    });

    for (const dimensions of [1, 9, 384, 1536, 3072]) {
      test(`vectors of ${dimensions} dimensions are ranked exactly`, async (t) => {
        const { ledger, store } = await open(t, engine);
        const next = numbers(dimensions);
        const vectors = Array.from({ length: 40 }, () =>
          ofLengthOne(Array.from({ length: dimensions }, () => next())),
        );
        await addChunks(ledger, store, vectors);
        const query = ofLengthOne(Array.from({ length: dimensions }, () => next()));
        const near = await nearest(ledger, store, query, null, 40);
        assert.equal(near.length, 40);
        for (const [rank, { chunk, score }] of near.entries()) {
          const cosine = vectors[chunk]!.reduce((sum, value, at) => sum + value * query[at]!, 0);
          assert.ok(Math.abs(score - cosine) < 1e-5, `${score} is ${cosine}`);
          if (rank > 0) assert.ok(score <= near[rank - 1]!.score);
        }
      });
    }

    test("this database can compare vectors", async (t) => {
      const { ledger, store } = await open(t, engine);
      await addChunks(ledger, store, [atAngle(0)]);
      assert.equal(await look(ledger, store, (index) => index.vectorProblem()), null);
      assert.equal(await ledger.storage.index.maintainVectors(store.storeId), null);
    });
  });
}
