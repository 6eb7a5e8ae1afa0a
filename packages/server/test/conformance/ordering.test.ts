import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ApiError } from "@tidemark/protocol/errors";
import { engines } from "../engines.ts";
import {
  contentAfter,
  DECIDED_AT,
  HOURS,
  INCREMENTAL_RULES,
  type Operation,
  type Outcome,
  REFRESH_RULES,
  type RecordState,
  type Rule,
  timeOf,
} from "../ledger/ordering-rules.ts";
import { readRecords } from "../model/ledger-rows.ts";
import {
  forgetAll,
  openTestLedger,
  type SyncFields,
  type TestLedger,
  type TestStore,
} from "../test-ledger.ts";

const operationsFor = (operation: Operation): object[] => {
  if (operation === "not named") return [];
  const [action, said] = operation.split(" ");
  return [{ action, id: "record", namespace: "tasks", ...(said ? { data: { said } } : {}) }];
};

/** Puts the record `record` of the namespace `tasks` into a state. */
async function reach({ storage, clock }: TestLedger, store: TestStore, state: RecordState): Promise<void> {
  const sync = (fields: SyncFields) => store.sync({ sync_timestamp: DECIDED_AT, ...fields });
  if (state === "A") await sync({ operations: operationsFor("upsert A") });
  if (state === "deleted" || state === "purged") await sync({ operations: operationsFor("delete") });
  if (state === "purged") await forgetAll(storage, { tombstones: clock.now + 1 });
  if (state === "refreshed A")
    await sync({ sync_mode: "full_refresh", operations: operationsFor("upsert A") });
  if (state === "cleared") {
    await sync({ operations: operationsFor("upsert A") });
    await sync({ sync_mode: "full_refresh", namespaces: ["tasks"] });
  }
}

async function outcomeOf(store: TestStore, fields: SyncFields): Promise<Outcome> {
  try {
    const { changes } = await store.sync(fields);
    const counted = Object.entries(changes).filter(([, count]) => count > 0);
    assert.ok(counted.length <= 1, JSON.stringify(changes));
    return (counted[0]?.[0] as Outcome | undefined) ?? "nothing";
  } catch (error) {
    if (error instanceof ApiError && error.code === "STALE_SYNC") return "409";
    throw error;
  }
}

for (const engine of engines) {
  for (const [mode, rules] of [
    ["incremental", INCREMENTAL_RULES],
    ["full_refresh", REFRESH_RULES],
  ] as [NonNullable<SyncFields["sync_mode"]>, Rule[]][]) {
    describe(`${engine.name}: what an operation of sync_mode ${mode} does to a record`, () => {
      for (const [state, operation, ...outcomes] of rules) {
        test(`${state} + ${operation}: ${HOURS.map((hour, i) => `${hour} ${outcomes[i]}`).join(", ")}`, async (t) => {
          const ledger = await openTestLedger(t, engine, { quick: true });
          for (const [index, hour] of HOURS.entries()) {
            const store = await ledger.createStore();
            await reach(ledger, store, state);
            const outcome = await outcomeOf(store, {
              sync_mode: mode,
              sync_timestamp: timeOf(hour),
              operations: operationsFor(operation),
              ...(mode === "full_refresh" ? { namespaces: ["tasks"] } : {}),
            });
            assert.equal(outcome, outcomes[index], hour);
            const [record] = await readRecords(ledger.storage, store.storeId);
            const said = (record?.content as { data: { said: string } } | undefined)?.data.said;
            assert.equal(said, contentAfter(state, operation, outcome), hour);
          }
        });
      }
    });
  }
}
