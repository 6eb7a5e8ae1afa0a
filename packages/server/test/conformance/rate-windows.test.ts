import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { openStorage } from "../../src/storage/open.ts";
import { engines } from "../engines.ts";
import { openTestLedger } from "../test-ledger.ts";
import { whenDone } from "../when-done.ts";

const WINDOW_MS = 60_000;
const START = Date.UTC(2025, 10, 11, 12);

for (const engine of engines) {
  describe(`${engine.name}: rate windows`, () => {
    test("a window slides: a request counts for exactly its length", async (t) => {
      const { storage } = await openTestLedger(t, engine);
      const request = (ms: number) => storage.countRequest("sync:org_a", 3, WINDOW_MS, START + ms);
      assert.deepEqual(await request(0), { allowed: true, remaining: 2, resetMs: 60_000 });
      assert.deepEqual(await request(10), { allowed: true, remaining: 1, resetMs: 59_990 });
      assert.deepEqual(await request(10), { allowed: true, remaining: 0, resetMs: 59_990 });
      assert.deepEqual(await request(59_999), { allowed: false, remaining: 0, resetMs: 1 });
      assert.deepEqual(await request(60_000), { allowed: true, remaining: 0, resetMs: 10 });
      assert.deepEqual(await request(60_009), { allowed: false, remaining: 0, resetMs: 1 });
      assert.deepEqual(await request(60_010), { allowed: true, remaining: 1, resetMs: 59_990 });
    });

    test("requests at any times are allowed as a simple model allows them", async (t) => {
      const { storage } = await openTestLedger(t, engine);
      let runs = 0;
      const pauses = fc.array(fc.constantFrom(0, 1, 20_000, 39_999, 40_000, 60_000), { maxLength: 15 });
      await fc.assert(
        fc.asyncProperty(pauses, fc.integer({ min: 1, max: 4 }), async (pauses, limit) => {
          const window = `run ${runs++}`;
          const allowedAt: number[] = [];
          let now = START;
          for (const pause of pauses) {
            now += pause;
            const inWindow = allowedAt.filter((at) => at > now - WINDOW_MS).length;
            const { allowed, remaining } = await storage.countRequest(window, limit, WINDOW_MS, now);
            assert.equal(allowed, inWindow < limit);
            if (allowed) allowedAt.push(now);
            assert.equal(remaining, Math.max(0, limit - inWindow - 1));
          }
        }),
        { numRuns: 100 },
      );
    });

    test("of many concurrent requests, exactly the limit passes", async (t) => {
      const { storage } = await openTestLedger(t, engine);
      const windows = await Promise.all(
        Array.from({ length: 150 }, () => storage.countRequest("sync:org_a", 100, WINDOW_MS, START)),
      );
      assert.equal(windows.filter(({ allowed }) => allowed).length, 100);
    });

    test("windows are independent, and all processes share them", async (t) => {
      const { databaseUrl, storage } = await openTestLedger(t, engine);
      const elsewhere = await openStorage(databaseUrl);
      whenDone(t, () => elsewhere.close());
      const request = async (through: typeof storage, window: string) =>
        (await through.countRequest(window, 2, WINDOW_MS, START)).allowed;
      assert.equal(await request(storage, "sync:org_a"), true);
      assert.equal(await request(elsewhere, "sync:org_a"), true);
      assert.equal(await request(storage, "sync:org_a"), false);
      assert.equal(await request(elsewhere, "sync:org_a"), false);
      assert.equal(await request(storage, "check-exists:org_a"), true);
      assert.equal(await request(elsewhere, "sync:org_b"), true);
    });
  });
}
