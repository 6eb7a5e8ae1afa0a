import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "@tidemark/protocol/errors";
import fc from "fast-check";
import type { Prepared } from "../../src/indexing/prepare.ts";
import { engines } from "../engines.ts";
import { LONG } from "../long.ts";
import { forgetAll, openTestLedger, sweepAll, type TestLedger, type TestStore } from "../test-ledger.ts";

/**
 * Random steps of a ledger and its indexer: batches are claimed and published late, twice, never, or fail; builds begin
 * and walk; refreshes are staged and applied. In any order, search never shows a record that does not exist, keeps
 * finding a record by the same or a newer text once it has found it, and in the end finds exactly the ledger's records.
 */

const RUNS = LONG ? 5000 : 100;
const STEPS = 30;
const NAMESPACES = ["tasks", "notes"];
const IDS = ["1", "2", "3"];
const WORDS = ["apple", "banana", "cherry", "damson", "elder"];
const TIMES = ["2025-11-10T09:00:00Z", "2025-11-10T10:00:00Z", "2025-11-10T11:00:00Z"];
const LEASE_MS = 31_000;

const time = fc.nat(TIMES.length - 1);
/** @param repeating most records of a refresh are unchanged */
function stepsOf({ repeating }: { repeating: boolean }): fc.Arbitrary<Step[]> {
  const operation = fc.record({
    action: fc.constantFrom("upsert", "upsert", "upsert", "delete"),
    namespace: fc.constantFrom("tasks", "tasks", "notes"),
    id: fc.constantFrom(...IDS),
    word: fc.constantFrom(...WORDS),
  });
  const same = fc.constant({ action: "upsert", namespace: "tasks", id: "1", word: "apple" } as const);
  const operations: fc.Arbitrary<Operations> = repeating
    ? fc.array(fc.oneof({ weight: 4, arbitrary: same }, { weight: 1, arbitrary: operation }), {
        maxLength: 2,
      })
    : fc.array(operation, { maxLength: 4 });
  const step = fc.oneof(
    {
      weight: repeating ? 2 : 6,
      arbitrary: fc.record({ kind: fc.constant("incremental"), time, operations }),
    },
    {
      weight: repeating ? 8 : 4,
      arbitrary: fc.record({
        kind: fc.constant("refresh"),
        time,
        operations,
        lastBatch: fc.boolean(),
        refreshId: repeating ? fc.constantFrom(undefined, "x", "y") : fc.constant(undefined),
        namespaces: repeating ? fc.constant([]) : fc.subarray(NAMESPACES),
      }),
    },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("take") }) },
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant("publish"), which: fc.nat(2), keeps: fc.boolean() }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("fail") }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("sweep") }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait") }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("rebuild"), walks: fc.nat(2) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("walk") }) },
  ) as fc.Arbitrary<Step>;
  return fc.array(step, { minLength: 4, maxLength: STEPS, size: "max" });
}
type Operations = { action: "upsert" | "delete"; namespace: string; id: string; word: string }[];
type Step =
  | { kind: "incremental"; time: number; operations: Operations }
  | {
      kind: "refresh";
      time: number;
      operations: Operations;
      lastBatch: boolean;
      refreshId: string | undefined;
      namespaces: string[];
    }
  | { kind: "publish"; which: number; keeps: boolean }
  | { kind: "rebuild"; walks: number }
  | { kind: "take" | "fail" | "sweep" | "wait" | "walk" };

for (const engine of engines) {
  test(`${engine.name}: search agrees with the ledger after any steps of the indexer`, async (t) => {
    const ledger = await openTestLedger(t, engine, { quick: true });
    const steps = fc.oneof(stepsOf({ repeating: false }), stepsOf({ repeating: true }));
    await fc.assert(
      fc.asyncProperty(steps, (steps) => runSteps(ledger, steps)),
      { numRuns: RUNS * engine.share },
    );
  });
}

async function runSteps(ledger: TestLedger, steps: Step[]): Promise<void> {
  const { storage, commands, clock } = ledger;
  const store = await ledger.createStore();
  const { storeId } = store;
  const held: Prepared[] = [];
  const lives: Lives = new Map();
  await commands.beginBuild(storeId, "{}");
  for (const step of steps) {
    clock.now += 1;
    if (step.kind === "incremental" || step.kind === "refresh") await sync(store, step);
    else if (step.kind === "take") {
      const entries = await commands.claimEntries(storeId);
      const prepared =
        entries.length > 0 ? await commands.prepareEntries(storeId, entries.slice(0, 3)) : null;
      if (prepared) held.push(prepared);
    } else if (step.kind === "publish") {
      const prepared = held[step.which % Math.max(1, held.length)];
      if (!prepared) continue;
      await commands.publishEntries(storeId, prepared);
      if (!step.keeps) held.splice(held.indexOf(prepared), 1);
    } else if (step.kind === "fail") {
      const entries = await commands.claimEntries(storeId);
      const failed = entries
        .slice(0, 2)
        .map(({ version }) => ({ version, attempts: 6, error: "no", dueAt: null }));
      await storage.index.defer(storeId, failed);
    } else if (step.kind === "sweep") {
      await sweepAll(storage, clock.now);
      while ((await storage.index.sweep(clock.now)).more);
    } else if (step.kind === "wait") clock.now += LEASE_MS;
    else if (step.kind === "rebuild") {
      await commands.beginBuild(storeId, "{}", true);
      for (let n = 0; n < step.walks; n++) await walk(ledger, storeId);
    } else await walk(ledger, storeId);
    await checkShown(ledger, store, lives);
  }
  await bringUpToDate(ledger, storeId);
  await checkShown(ledger, store, lives);
  await commands.retryFailed(store.organizationId, storeId, { namespace: null, id: null });
  await bringUpToDate(ledger, storeId);
  for (const prepared of held) await commands.publishEntries(storeId, prepared);
  await bringUpToDate(ledger, storeId);
  await checkUpToDate(ledger, store, lives);
  // Without open runs, only the current rows are left.
  clock.now += 2 * 24 * 3_600_000;
  await forgetAll(storage, { openRuns: clock.now });
  await sweepAll(storage, clock.now);
  await bringUpToDate(ledger, storeId);
  while ((await storage.index.sweep(clock.now)).more);
  await checkUpToDate(ledger, store, lives);
  await checkRows(ledger, storeId, lives);
  await commands.deleteVectorStore(store.organizationId, storeId, clock.now);
  await sweepAll(storage, clock.now);
}

async function sync(store: TestStore, step: Extract<Step, { time: number }>): Promise<void> {
  const operations = step.operations.map(({ word, ...operation }) =>
    operation.action === "delete" ? operation : { ...operation, data: { title: word } },
  );
  const sync_timestamp = TIMES[step.time]!;
  try {
    if (step.kind === "incremental") await store.sync({ sync_timestamp, operations });
    else {
      const { lastBatch: last_batch, refreshId, namespaces } = step;
      const run = { sync_mode: "full_refresh", sync_timestamp, last_batch } as const;
      await store.sync({ ...run, ...(refreshId && { refresh_id: refreshId }), operations, namespaces });
    }
  } catch (error) {
    // The refresh is stale, or was applied before.
    if (!(error instanceof ApiError && error.code === "STALE_SYNC")) throw error;
  }
}

async function walk({ commands }: TestLedger, storeId: string): Promise<boolean> {
  const { step } = await commands.prepareBuildStep(storeId);
  if (step) await commands.publishBuildStep(storeId, step);
  return step !== null;
}

/** Indexes all queue entries, and merges all segments that can be merged. */
async function bringUpToDate(ledger: TestLedger, storeId: string): Promise<void> {
  const { commands, clock } = ledger;
  for (;;) {
    clock.now += LEASE_MS;
    const entries = await commands.claimEntries(storeId);
    const prepared = entries.length > 0 ? await commands.prepareEntries(storeId, entries) : null;
    if (prepared) await commands.publishEntries(storeId, prepared);
    else if (!(await walk(ledger, storeId))) break;
  }
  for (;;) {
    const found = await commands.findMerge(storeId);
    const merge = found && (await commands.beginMerge(storeId, found));
    if (!merge) return;
    for (let blocks = await next(); blocks; blocks = await next()) {
      await commands.addToMerge(storeId, merge, blocks);
    }
    await commands.finishMerge(storeId, merge);
    function next() {
      return commands.nextMerged(storeId, merge!);
    }
  }
}

const keyOf = ({ namespace, id }: { namespace: string; id: string }) => `${namespace}/${id}`;

/** The current text of each record, by key. */
async function readRecords({ commands }: TestLedger, store: TestStore): Promise<Map<string, string>> {
  const records = new Map<string, string>();
  for (const namespace of NAMESPACES) {
    const { data } = await commands.listRecords(store.organizationId, store.storeId, {
      namespace,
      limit: 100,
    });
    for (const record of data) records.set(keyOf(record), String(record.data.title));
  }
  return records;
}

async function searchAll({ commands }: TestLedger, store: TestStore): Promise<Map<string, string>> {
  const query = WORDS.join(" ");
  const { data } = await commands.search(store.organizationId, store.storeId, { query, limit: 100 });
  assert.equal(new Set(data.map(keyOf)).size, data.length, "one row a record");
  return new Map(data.map((result) => [keyOf(result), result.text]));
}

/** For each record, its texts since it exists, newest last, and the position of the text that search showed last. */
type Lives = Map<string, { said: string[]; shown: number }>;

/** Checks that search shows only existing records, and no older text, or none, after it has shown one. */
async function checkShown(ledger: TestLedger, store: TestStore, lives: Lives): Promise<void> {
  const records = await readRecords(ledger, store);
  for (const key of lives.keys()) if (!records.has(key)) lives.delete(key);
  for (const [key, word] of records) {
    const life = lives.get(key) ?? { said: [], shown: -1 };
    if (life.said.at(-1) !== word) life.said.push(word);
    lives.set(key, life);
  }
  const found = await searchAll(ledger, store);
  for (const key of found.keys()) assert.ok(lives.has(key), `${key} is shown but does not exist`);
  for (const [key, life] of lives) {
    const text = found.get(key);
    if (text === undefined && life.shown === -1) continue;
    // A text that the record had several times counts as the oldest possible one.
    const shown = text === undefined ? -1 : life.said.indexOf(text, Math.max(0, life.shown));
    assert.ok(
      shown >= 0,
      `${key} is shown with ${text}; its texts were ${life.said}, and number ${life.shown} was shown before`,
    );
    life.shown = shown;
  }
}

/** Checks that search finds each record by its current text, and nothing else. */
async function checkUpToDate(ledger: TestLedger, store: TestStore, lives: Lives): Promise<void> {
  await checkShown(ledger, store, lives);
  const sorted = (map: Map<string, string>) => [...map].sort();
  assert.deepEqual(sorted(await searchAll(ledger, store)), sorted(await readRecords(ledger, store)));
  assert.equal(await ledger.storage.index.search(store.storeId, (index) => index.pending(null, 10)), 0);
}

/** Checks that the chunks are those of the live records, once each, and that the build counts them. */
async function checkRows({ storage }: TestLedger, storeId: string, lives: Lives): Promise<void> {
  const { chunks, builds } = await storage.read(async (sql) => ({
    chunks: await sql.all("SELECT namespace, id, terms FROM chunks WHERE store_id = $1", [storeId]),
    builds: await sql.all("SELECT chunks, terms FROM index_builds WHERE store_id = $1", [storeId]),
  }));
  const keys = chunks.map(({ namespace, id }) => `${namespace}/${id}`).sort();
  assert.deepEqual(keys, [...lives.keys()].sort());
  const terms = chunks.reduce((sum, { terms }) => sum + Number(terms), 0);
  assert.deepEqual(
    builds.map((build) => [Number(build.chunks), Number(build.terms)]),
    [[chunks.length, terms]],
  );
}
