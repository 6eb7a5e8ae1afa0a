import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { oneAhead, toBatches } from "../src/batches.ts";

/** The batches that a server would get. */
async function cut(ids: string[], sizes: { batchOperations?: number; batchBytes?: number }) {
  const batches: string[][] = [];
  for await (const batch of toBatches(
    ids.map((id) => ({ id })),
    "n",
    sizes,
    () => {},
  ))
    batches.push(batch);
  return batches;
}

describe("batches", () => {
  test("hold every record once, in order, within count and bytes", async () => {
    const ids = fc.array(fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }), { maxLength: 60 });
    const limits = [fc.integer({ min: 1, max: 9 }), fc.integer({ min: 60, max: 400 })] as const;
    await fc.assert(
      fc.asyncProperty(ids, ...limits, async (ids, batchOperations, batchBytes) => {
        const batches = await cut(ids, { batchOperations, batchBytes });
        const sent = batches.flat().map((text) => JSON.parse(text).id);
        assert.deepEqual(
          sent,
          ids.map((id) => JSON.parse(JSON.stringify(id))),
        );
        for (const batch of batches) {
          assert.ok(batch.length > 0 && batch.length <= batchOperations);
          const bytes = new TextEncoder().encode(batch.join()).length;
          assert.ok(batch.length === 1 || bytes <= batchBytes, `${bytes} bytes of ${batch.length}`);
        }
      }),
    );
  });

  test("have 5000 records at most by default", async () => {
    const batches = await cut(Array(5001).fill("a"), {});
    assert.deepEqual(
      batches.map(({ length }) => length),
      [5000, 1],
    );
  });

  test("are as large as the limits allow", async () => {
    const batches = await cut(Array(10).fill("a"), { batchOperations: 4 });
    assert.deepEqual(
      batches.map(({ length }) => length),
      [4, 4, 2],
    );
  });

  test("wait for the promises of `note`", async () => {
    let noted = 0;
    const note = async () => {
      await Promise.resolve();
      noted++;
    };
    const seen: number[] = [];
    const source = Array(5).fill({ id: "a" });
    for await (const _ of toBatches(source, "n", { batchOperations: 2 }, note)) seen.push(noted);
    assert.deepEqual(seen, [2, 4, 5]);
  });
});

describe("oneAhead", () => {
  async function* numbers(log: string[]) {
    try {
      for (let n = 1; n <= 3; n++) {
        log.push(`made ${n}`);
        yield n;
      }
    } finally {
      log.push("ended");
    }
  }

  test("makes the next item while the caller works on one", async () => {
    const log: string[] = [];
    for await (const n of oneAhead(numbers(log))) {
      await Promise.resolve();
      log.push(`used ${n}`);
    }
    assert.deepEqual(log, ["made 1", "made 2", "used 1", "made 3", "used 2", "ended", "used 3"]);
  });

  test("ends the source when its reader stops early", async () => {
    const log: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    async function* source() {
      try {
        yield* numbers(log);
      } finally {
        resolve();
      }
    }
    for await (const _ of oneAhead(source())) break;
    await promise;
    assert.equal(log.at(-1), "ended");
  });
});
