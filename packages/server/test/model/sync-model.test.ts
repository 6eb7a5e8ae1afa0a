import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "@tidemark/protocol/errors";
import type { SyncResponse } from "@tidemark/protocol/sync";
import fc from "fast-check";
import { engines } from "../engines.ts";
import { openTestLedger, purgeAll, sweepAll, type TestLedger, type TestStore } from "../test-ledger.ts";
import { LedgerModel, type ModelAnswer } from "./ledger-model.ts";
import { readRecords } from "./ledger-rows.ts";

const RUNS = process.env.TIDEMARK_TEST_LONG ? 20_000 : 2000;
const STEPS = 18;
const TOMBSTONE_DAYS = 30;
const DAY_MS = 24 * 3600 * 1000;

const NAMESPACES = ["tasks", "Tasks", "__proto__"];
const IDS = ["1", "01", "ü", "u\u0308", "__proto__", "a'b\"c%"];

/** In their order, and few, so that equal and out-of-order ones are frequent. */
const TIMES = [
  "2025-11-10T09:00:00Z",
  "2025-11-10T10:00:00.000000001Z",
  "2025-11-10T11:00:00.000000002+01:00",
  "2025-11-10T10:00:00.1Z",
  "2025-11-11T10:00:00Z",
];

/** Contents, each in several spellings that are equal as JSON, as the members of an operation. */
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

const operation = fc.record({
  action: fc.constantFrom("upsert", "upsert", "delete"),
  namespace: fc.constantFrom(...NAMESPACES),
  id: fc.constantFrom(...IDS),
  content: fc.nat(CONTENTS.length - 1),
  spelling: fc.nat(2),
});
const sync = fc.record({
  kind: fc.constant("sync"),
  mode: fc.constantFrom("incremental", "full_refresh"),
  time: fc.nat(TIMES.length - 1),
  operations: fc.array(operation, { maxLength: 7, size: "max" }),
  namespaces: fc.subarray(NAMESPACES),
});
const step = fc.oneof(
  { weight: 10, arbitrary: sync },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("sweep") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("purge") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait"), days: fc.constantFrom(1, 29, 31) }) },
);
type Step =
  | {
      kind: "sync";
      mode: "incremental" | "full_refresh";
      time: number;
      operations: Operation[];
      namespaces: string[];
    }
  | { kind: "sweep" }
  | { kind: "purge" }
  | { kind: "wait"; days: number };
interface Operation {
  action: "upsert" | "delete";
  namespace: string;
  id: string;
  content: number;
  spelling: number;
}

for (const engine of engines) {
  test(`${engine.name}: any sequence of syncs answers and ends as the contract's model does`, async (t) => {
    const ledger = await openTestLedger(t, engine, { quick: true });
    const steps = fc.array(step, { minLength: 1, maxLength: STEPS, size: "max" }) as fc.Arbitrary<Step[]>;
    await fc.assert(
      fc.asyncProperty(steps, (steps) => compareWithModel(ledger, steps)),
      { numRuns: RUNS },
    );
  });
}

async function compareWithModel(ledger: TestLedger, steps: Step[]): Promise<void> {
  const { storage, clock } = ledger;
  const store = await ledger.createStore();
  const model = new LedgerModel();
  const versions = new Map<number, number>();
  for (const step of steps) {
    clock.now += 1;
    if (step.kind === "wait") clock.now += step.days * DAY_MS;
    else if (step.kind === "sweep") await storage.sweep(clock.now);
    else if (step.kind === "purge") {
      model.purgeTombstones(clock.now - TOMBSTONE_DAYS * DAY_MS);
      await purgeAll(storage, clock.now - TOMBSTONE_DAYS * DAY_MS);
    } else assert.deepEqual(await send(store, step), predict(model, step, clock.now));
    await compareState(ledger, store, model, versions);
  }
  await sweepAll(storage, clock.now);
  await compareState(ledger, store, model, versions, { swept: true });
  // The next run finds the tables as this one did.
  await ledger.commands.access("deleteVectorStore", store.organizationId, store.storeId, clock.now);
  await sweepAll(storage, clock.now);
}

function predict(model: LedgerModel, step: Step & { kind: "sync" }, now: number): ModelAnswer | string {
  const operations = step.operations.map(({ content, ...operation }) => ({
    ...operation,
    content: String(content),
  }));
  const { mode, time: timestamp } = step;
  const namespaces = mode === "full_refresh" ? step.namespaces : [];
  return model.sync({ mode, timestamp, operations, namespaces }, now);
}

async function send(store: TestStore, step: Step & { kind: "sync" }): Promise<ModelAnswer | string> {
  const operations = step.operations.map(({ action, namespace, id, content, spelling }) => {
    const key = `"action":"${action}","namespace":${JSON.stringify(namespace)},"id":${JSON.stringify(id)}`;
    const spellings = CONTENTS[content]!;
    return `{${key}${spellings[spelling % spellings.length]}}`;
  });
  let response: SyncResponse;
  try {
    response = await store.sync({
      sync_mode: step.mode,
      sync_timestamp: TIMES[step.time]!,
      operations: `[${operations.join(",")}]`,
      ...(step.mode === "full_refresh" ? { namespaces: step.namespaces } : {}),
    });
  } catch (error) {
    if (error instanceof ApiError) return error.code;
    throw error;
  }
  const { status, results, by_namespace, changes, processed } = response;
  assert.equal(status, "success");
  assert.equal(processed, step.operations.length);
  return { results, by_namespace: new Map(Object.entries(by_namespace)), changes };
}

/** @param versions of the contents by the model's writings: what is unchanged must not be written again */
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
      "an unchanged content stays as it is",
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
