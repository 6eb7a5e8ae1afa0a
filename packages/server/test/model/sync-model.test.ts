import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "@tidemark/protocol/errors";
import type { SyncResponse } from "@tidemark/protocol/sync";
import fc from "fast-check";
import { engines } from "../engines.ts";
import { LONG } from "../long.ts";
import {
  forgetAll,
  openTestLedger,
  storeOf,
  sweepAll,
  type TestLedger,
  type TestStore,
} from "../test-ledger.ts";
import { LedgerModel, type ModelAnswer } from "./ledger-model.ts";
import { readRecords } from "./ledger-rows.ts";

const RUNS = LONG ? 20_000 : 800;
const STEPS = 18;
const TOMBSTONE_DAYS = 30;
const DAY_MS = 24 * 3600 * 1000;

const NAMESPACES = ["tasks", "Tasks", "__proto__"];
const IDS = ["1", "01", "ü", "u\u0308", "__proto__", "a'b\"c%", "\uff5e", "😀"];

/** Timestamps in their order; few, so that equal and out-of-order ones are frequent. */
const TIMES = [
  "2025-11-10T09:00:00Z",
  "2025-11-10T10:00:00.000000001Z",
  "2025-11-10T11:00:00.000000002+01:00",
  "2025-11-10T10:00:00.1Z",
  "2025-11-11T10:00:00Z",
];

/** Contents as members of an operation, each in several spellings that are equal as JSON. */
const CONTENTS = [
  ["", `,"data":{}`, `,"data" : { }`],
  [`,"data":{"n":1,"t":{"x":[1,2]}}`, `,"data":{"t":{"x":[1,2.0]},"n":1.0}`],
  [`,"data":{"n":1,"t":{"x":[2,1]}}`],
  [`,"data":{"n":"1","t":{"x":[1,2]}}`, `,"data":{"n":"\\u0031","t":{"x":[1,2]}}`],
  [`,"source_system":"airbyte"`, `,"data":{},"source_system":"\\u0061irbyte"`],
  [
    `,"data":{},"file":{"file_url":"s3://a","file_relative_path":"a"},"updated_at":"2025-01-01T00:00:00Z"`,
    `,"updated_at":"2025-01-01T00:00:00Z","file":{"file_relative_path":"a","file_url":"s3://a"}`,
  ],
  [`,"updated_at":"2025-01-01T00:00:00+00:00"`],
];

/** The first few ids are frequent, so that syncs compete for them. */
const often = <T>(values: T[], few: number) =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...values.slice(0, few)) },
    { weight: 1, arbitrary: fc.constantFrom(...values) },
  );
/** Kinds of sequences: which operations they have, and how many of their syncs are parts of refreshes. */
interface Character {
  operation: fc.Arbitrary<Operation>;
  modes: SyncStep["mode"][];
  times: number;
  namespaces: fc.Arbitrary<string[]>;
  refreshIds: (string | undefined)[];
  lastBatches: boolean[];
}
const VARIED: Character = {
  operation: fc.record({
    action: fc.constantFrom("upsert", "upsert", "upsert", "upsert", "delete", "delete", "invalid"),
    namespace: often(NAMESPACES, 1),
    id: often(IDS, 2),
    content: often([...CONTENTS.keys()], 2),
    spelling: fc.nat(2),
  }),
  modes: ["incremental", "full_refresh"],
  times: TIMES.length,
  namespaces: fc.subarray(NAMESPACES),
  refreshIds: [undefined, "x"],
  lastBatches: [true, false],
};
/** Refreshes, several of them open at a time, that rarely change any of two records. */
const REPEATING: Character = {
  operation: fc.record({
    action: often(["upsert", "delete", "invalid"], 1),
    namespace: fc.constant("tasks"),
    id: fc.constantFrom("1", "01"),
    content: fc.oneof({ weight: 7, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.constant(2) }),
    spelling: often([0, 1], 1),
  }),
  modes: ["incremental", "full_refresh", "full_refresh", "full_refresh"],
  times: 3,
  namespaces: fc.constant([]),
  refreshIds: [undefined, "x", "y"],
  lastBatches: [true, false, false],
};
const syncOf = (of: Character): fc.Arbitrary<SyncStep> =>
  fc.record({
    kind: fc.constant("sync"),
    connector: fc.constantFrom("one", "one", "one", "other"),
    mode: fc.constantFrom(...of.modes),
    time: fc.nat(of.times - 1),
    operations: fc.array(of.operation, { maxLength: 7, size: "max" }),
    namespaces: of.namespaces,
    refresh: fc.record({
      refreshId: fc.constantFrom(...of.refreshIds),
      lastBatch: fc.constantFrom(...of.lastBatches),
      expectedOperations: fc.constantFrom(undefined, undefined, undefined, 5),
    }),
    removalLimit: fc.constantFrom(undefined, undefined, undefined, 1),
    dryRun: fc.boolean(),
  });
/** Repeats an earlier sync, as a caller whose answer was lost does, or continues its run. */
const againOf = (of: Character): fc.Arbitrary<AgainStep> =>
  fc.record({
    kind: fc.constant("again"),
    back: fc.nat(3),
    change: fc.constantFrom("nothing", "another part", "last batch"),
    operations: fc.array(of.operation, { maxLength: 4, size: "max" }),
  });
const stepsOf = (of: Character): fc.Arbitrary<Step[]> => {
  const step = fc.oneof(
    { weight: 10, arbitrary: syncOf(of) },
    { weight: 5, arbitrary: againOf(of) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("sweep") }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("purge") }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait"), days: fc.constantFrom(1, 29, 31) }) },
  ) as fc.Arbitrary<Step>;
  return fc.array(step, { minLength: 1, maxLength: STEPS, size: "max" });
};
type Step = SyncStep | AgainStep | { kind: "sweep" } | { kind: "purge" } | { kind: "wait"; days: number };
interface SyncStep {
  kind: "sync";
  connector: "one" | "other";
  mode: "incremental" | "full_refresh";
  time: number;
  operations: Operation[];
  namespaces: string[];
  refresh: { refreshId: string | undefined; lastBatch: boolean; expectedOperations: number | undefined };
  removalLimit: number | undefined;
  dryRun: boolean;
}
interface AgainStep {
  kind: "again";
  back: number;
  change: "nothing" | "another part" | "last batch";
  operations: Operation[];
}
interface Operation {
  action: "upsert" | "delete" | "invalid";
  namespace: string;
  id: string;
  content: number;
  spelling: number;
}

for (const engine of engines) {
  test(`${engine.name}: any sequence of syncs has the answers and records of the contract's model`, async (t) => {
    const ledger = await openTestLedger(t, engine, { quick: true });
    const steps = fc.oneof(stepsOf(VARIED), stepsOf(REPEATING));
    await fc.assert(
      fc.asyncProperty(steps, (steps) => compareWithModel(ledger, steps)),
      { numRuns: RUNS * engine.share },
    );
  });
}

async function compareWithModel(ledger: TestLedger, steps: Step[]): Promise<void> {
  const { storage, clock } = ledger;
  const store = await ledger.createStore();
  const connectors = { one: store, other: storeOf(ledger.commands, { ...store, connectorId: "conn_other" }) };
  const model = new LedgerModel();
  const versions = new Map<number, number>();
  const sent: SyncStep[] = [];
  for (const step of steps) {
    clock.now += 1;
    if (step.kind === "wait") clock.now += step.days * DAY_MS;
    else if (step.kind === "sweep") await storage.sweep(clock.now);
    // A run expires after a day, before tombstones are purged.
    if (step.kind === "purge" || step.kind === "wait") {
      const [tombstones, openRuns] = [clock.now - TOMBSTONE_DAYS * DAY_MS, clock.now - DAY_MS];
      model.expireRuns(openRuns);
      if (step.kind === "purge") model.purgeTombstones(tombstones);
      await forgetAll(storage, step.kind === "purge" ? { tombstones, openRuns } : { openRuns });
    }
    const syncStep = step.kind === "again" ? takeUp(sent, step) : step.kind === "sync" ? step : undefined;
    if (syncStep) {
      sent.push(syncStep);
      await compareAnswers(connectors[syncStep.connector], model, syncStep, clock.now);
    }
    await compareState(ledger, store, model, versions);
  }
  const refreshes = await ledger.commands.listRefreshes(
    store.organizationId,
    store.storeId,
    { limit: 100 },
    null,
  );
  assert.equal(refreshes.data.length, model.openRuns());
  // Once open runs are expired, their staged rows are swept.
  clock.now += 2 * DAY_MS;
  model.expireRuns(clock.now);
  await forgetAll(storage, { openRuns: clock.now });
  await sweepAll(storage, clock.now);
  await compareState(ledger, store, model, versions, { swept: true });
  // The next sequence starts with the same tables.
  await ledger.commands.deleteVectorStore(store.organizationId, store.storeId, clock.now);
  await sweepAll(storage, clock.now);
}

function takeUp(sent: SyncStep[], { back, change, operations }: AgainStep): SyncStep | undefined {
  const earlier = sent.at(-1 - back);
  if (earlier === undefined || change === "nothing") return earlier;
  const lastBatch = change === "last batch";
  return {
    ...earlier,
    operations,
    refresh: { ...earlier.refresh, lastBatch, expectedOperations: undefined },
  };
}

/** Sends a sync, sometimes after a dry run of it, and compares the answers with the model's. */
async function compareAnswers(
  store: TestStore,
  model: LedgerModel,
  step: SyncStep,
  now: number,
): Promise<void> {
  const { connector, mode, time: timestamp, refresh, removalLimit } = step;
  const isRefresh = mode === "full_refresh";
  const isPart = isRefresh && !refresh.lastBatch;
  const operations = step.operations.map(({ content, spelling: _, ...operation }) => ({
    ...operation,
    content: String(content),
  }));
  const planned = step.dryRun && !isPart ? await send(store, step, true) : undefined;
  const predicted = model.sync(
    {
      connector,
      mode,
      timestamp,
      operations,
      namespaces: isRefresh ? step.namespaces : [],
      removalLimit: isPart ? undefined : removalLimit,
      ...(isRefresh
        ? { ...refresh, expectedOperations: isPart ? undefined : refresh.expectedOperations }
        : {}),
    },
    now,
  );
  const answered = await send(store, step, false);
  assert.deepEqual(typeof answered === "string" ? answered : answered.answer, predicted);
  if (planned === undefined || typeof planned === "string" || typeof answered === "string") {
    // A dry run of an applied last batch is rejected; the batch itself gets its saved answer.
    if (planned !== undefined && planned !== "STALE_SYNC") assert.deepEqual(planned, answered);
    return;
  }
  assert.deepEqual(planned.answer, { ...answered.answer, status: "planned" });
  assert.deepEqual(planned.digests, answered.digests);
}

interface Sent {
  answer: Omit<ModelAnswer, "status"> & { status: string };
  digests: SyncResponse["digests"];
}

async function send(store: TestStore, step: SyncStep, dryRun: boolean): Promise<Sent | string> {
  const operations = step.operations.map(({ action, namespace, id, content, spelling }) => {
    const invalid = action === "invalid";
    const key = `"action":"${invalid ? "upsert" : action}","namespace":${JSON.stringify(namespace)},"id":${JSON.stringify(id)}`;
    const spellings = CONTENTS[content]!;
    const rest = spellings[spelling % spellings.length]!;
    return `{${key}${invalid ? `,"created_at":"2024-02-30T00:00:00Z"` : rest}}`;
  });
  const { refreshId, lastBatch, expectedOperations } = step.refresh;
  const isRefresh = step.mode === "full_refresh";
  const isPart = isRefresh && !lastBatch;
  let response: SyncResponse;
  try {
    response = await store.sync({
      sync_mode: step.mode,
      sync_timestamp: TIMES[step.time]!,
      operations: `[${operations.join(",")}]`,
      on_error: "continue",
      ...(isRefresh ? { namespaces: step.namespaces, last_batch: lastBatch } : {}),
      ...(isRefresh && refreshId ? { refresh_id: refreshId } : {}),
      ...(isRefresh && lastBatch && expectedOperations ? { expected_operations: expectedOperations } : {}),
      ...(step.removalLimit !== undefined && !isPart ? { removal_limit: step.removalLimit } : {}),
      ...(dryRun ? { dry_run: true } : {}),
    });
  } catch (error) {
    if (error instanceof ApiError) return error.code;
    throw error;
  }
  const { status, results, by_namespace, changes, processed, refresh, digests } = response;
  assert.equal(processed, step.operations.length);
  return {
    answer: { status, results, by_namespace: new Map(Object.entries(by_namespace)), changes, refresh },
    digests,
  };
}

/** @param versions the contents' versions by the model's write numbers: an unchanged content is not written again */
async function compareState(
  { storage }: TestLedger,
  store: TestStore,
  model: LedgerModel,
  versions: Map<number, number>,
  options: { swept?: boolean } = {},
): Promise<void> {
  const expected = new Map(model.records().map((record) => [keyOf(record), record]));
  const stored = await readRecords(storage, store.storeId, options);
  assert.deepEqual(new Set(stored.map(keyOf)), new Set(expected.keys()));
  for (const record of stored) {
    const { content, writing } = expected.get(keyOf(record))!;
    assert.deepEqual(record.content, {
      data: {},
      ...JSON.parse(`{${CONTENTS[Number(content)]![0]!.slice(1)}}`),
    });
    assert.equal(
      record.version,
      versions.get(writing) ?? record.version,
      "an unchanged content is not written again",
    );
    versions.set(writing, record.version);
  }
  assert.equal(await store.recordCount(), expected.size);
  for (const namespace of NAMESPACES) {
    const { existing_ids } = await store.checkExists(namespace, IDS);
    assert.deepEqual(
      existing_ids,
      IDS.filter((id) => model.exists(namespace, id)),
    );
  }
}

const keyOf = ({ namespace, id }: { namespace: string; id: string }) => JSON.stringify([namespace, id]);
