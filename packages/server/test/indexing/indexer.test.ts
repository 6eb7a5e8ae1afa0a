import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { Logger } from "pino";
import { openCommands } from "../../src/commands.ts";
import { readConfig } from "../../src/config.ts";
import { EndpointPause } from "../../src/embedding/endpoint-pause.ts";
import { startIndexer } from "../../src/indexing/indexer.ts";
import { type IndexingContext, type IndexSteps, indexSteps } from "../../src/indexing/steps.ts";
import { faults, startEmbeddingsServer } from "../embeddings-server.ts";
import { usualEngine } from "../engines.ts";
import { bringUpToDate } from "../index-rows.ts";
import { openTestLedger, storeOf } from "../test-ledger.ts";
import { whenDone } from "../when-done.ts";

const upsert = (id: string, data: object) => ({ action: "upsert", id, namespace: "tasks", data });

type StepName = keyof IndexSteps;
type Steps = Record<string, (...args: unknown[]) => Promise<unknown>>;

/** Starts an indexer whose steps can be waited for, and whose log is a list. */
function startWatched(t: TestContext, steps: IndexSteps) {
  const lines: string[] = [];
  const waiting = new Set<(name: string, args: unknown[]) => void>();
  const line = (_: object, text: string) => lines.push(text);
  const watched = Object.entries(steps as unknown as Steps).map(([name, run]) => [
    name,
    async (...args: unknown[]) => {
      try {
        return await run(...args);
      } finally {
        for (const tell of waiting) tell(name, args);
      }
    },
  ]);
  const log = { info: line, warn: line } as unknown as Logger;
  const indexer = startIndexer(Object.fromEntries(watched), log);
  whenDone(t, () => indexer.stop());
  return {
    lines,
    /** Makes a change, and waits until a step has ended `times` times. */
    async step(
      change: () => unknown,
      name: StepName,
      isWanted: (args: unknown[]) => boolean = () => true,
      times = 1,
    ): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      let seen = 0;
      const tell = (ended: string, args: unknown[]) => {
        if (ended === name && isWanted(args) && ++seen === times) resolve();
      };
      waiting.add(tell);
      await change();
      indexer.wake();
      await promise;
      waiting.delete(tell);
    },
  };
}

describe("the log of an embeddings endpoint", () => {
  const [AWAY, BACK] = ["embeddings endpoint unavailable", "embeddings endpoint available again"];

  async function openEmbedding(t: TestContext) {
    const endpoint = await startEmbeddingsServer(t);
    const ledger = await openTestLedger(t, usualEngine());
    const config = readConfig({}, { embeddingsUrl: endpoint.url, embeddingsModel: "test-model" });
    const commands = openCommands(ledger.storage, config, () => ledger.clock.now);
    const store = storeOf(commands, await ledger.createStore());
    return { ...ledger, endpoint, store, lexical: ledger.commands, commands };
  }

  test("has one line when it becomes unavailable and one when it is back, whatever is indexed between", async (t) => {
    const { endpoint, clock, store, commands } = await openEmbedding(t);
    const { lines, step } = startWatched(t, commands);
    const sync = (id: string, data: object) => store.sync({ operations: [upsert(id, data)] });
    /** Whether an entry of the record was published. */
    const isOf =
      (id: string) =>
      ([, prepared]: unknown[]) =>
        (prepared as { entries: { id: string }[] }).entries.some((entry) => entry.id === id);
    const publish = (amount: number) =>
      step(() => sync("a", { title: "apple", amount }), "publishEntries", isOf("a"));
    await publish(1);
    assert.deepEqual(lines, []);
    endpoint.fault = faults.status(503);
    await step(() => sync("b", { title: "banana" }), "publishEntries");
    assert.deepEqual(lines, [AWAY]);
    for (const amount of [2, 3, 4]) await publish(amount);
    assert.deepEqual(lines, [AWAY]);
    endpoint.fault = null;
    await step(() => (clock.now += 60_000), "publishEntries", isOf("b"));
    assert.deepEqual(lines, [AWAY, BACK]);
  });

  test("has these lines for a new build that has to wait, too", async (t) => {
    const { endpoint, clock, store, lexical, commands } = await openEmbedding(t);
    await lexical.beginBuild(store.storeId, "{}");
    await store.sync({ operations: [upsert("a", { title: "apple" })] });
    await bringUpToDate({ commands: lexical, clock }, store);
    endpoint.fault = faults.status(401);
    const { lines, step } = startWatched(t, commands);
    await step(() => {}, "prepareBuildStep", undefined, 2);
    assert.deepEqual(lines, [AWAY]);
    endpoint.fault = null;
    const isLast = ([, step]: unknown[]) => (step as { isLast: boolean }).isLast;
    await step(() => (clock.now += 60_000), "publishBuildStep", isLast);
    assert.deepEqual(lines, [AWAY, BACK]);
  });
});

test("a merge that fails, or that another process takes over, is forgotten", async (t) => {
  for (const addToMerge of [async () => false, () => Promise.reject(new Error("no room"))]) {
    const { storage, clock, commands, createStore } = await openTestLedger(t, usualEngine());
    const store = await createStore();
    await commands.beginBuild(store.storeId, "{}");
    for (let n = 0; n < 8; n++) {
      await store.sync({ operations: [upsert(`id-${n}`, { title: `apple ${n}` })] });
      await bringUpToDate({ commands, clock }, store);
    }
    const context: IndexingContext = {
      ...{ storage, embedder: null, embeddings: null, pause: new EndpointPause(), merges: new Map() },
      now: () => clock.now,
    };
    let begun = 0;
    const steps = Object.entries({ ...indexSteps, addToMerge } as Steps).map(([name, run]) => [
      name,
      async (...args: unknown[]) => {
        const result = await run(context, ...args);
        if (name === "nextMerged") begun = context.merges.size;
        return result;
      },
    ]);
    const { step } = startWatched(t, Object.fromEntries(steps));
    await step(() => store.sync({ operations: [upsert("a", { title: "banana" })] }), "endMerge");
    assert.deepEqual([begun, context.merges.size], [1, 0]);
  }
});
