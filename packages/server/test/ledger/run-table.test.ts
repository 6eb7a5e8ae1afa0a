import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { ApiError } from "@tidemark/protocol/errors";
import { abortRefresh } from "../../src/ledger/abort-refresh.ts";
import { RUN_TABLE, type RunEvent, type RunReaction } from "../../src/ledger/run-states.ts";
import { engines, type TestEngine } from "../engines.ts";
import { forgetAll, openTestLedger } from "../test-ledger.ts";

type State = keyof typeof RUN_TABLE;

const DAY_MS = 24 * 3_600_000;
const upsert = (id: string) => ({ action: "upsert", id, namespace: "tasks" });
const RUN = {
  sync_mode: "full_refresh" as const,
  sync_timestamp: "2025-11-11T10:31:00Z",
  refresh_id: "the run",
};
const PART = { ...RUN, last_batch: false, operations: [upsert("a")] };
const LAST = { ...RUN, operations: [upsert("b")] };
const NEWER = { ...RUN, sync_timestamp: "2025-11-11T10:32:00Z", refresh_id: "newer" };

async function openRun(t: TestContext, engine: TestEngine) {
  const { storage, clock, createStore } = await openTestLedger(t, engine, { quick: true });
  const { sync, storeId } = await createStore();
  /** The run as it is stored. */
  const read = async () => {
    const [run] = await storage.read((sql) =>
      sql.all("SELECT run_id, state, batches FROM refresh_runs WHERE store_id = $1 AND refresh_id = $2", [
        storeId,
        RUN.refresh_id,
      ]),
    );
    return run && { runId: String(run.run_id), state: String(run.state), batches: Number(run.batches) };
  };
  const events: Record<RunEvent, () => Promise<unknown>> = {
    part: () => sync({ ...PART, operations: [upsert("c")] }),
    last_batch: () => sync({ ...LAST, operations: [upsert("c")] }),
    applied_last_batch: () => sync(LAST),
    newer_refresh: () => sync({ ...NEWER, namespaces: ["tasks"] }),
    abort: async () => abortRefresh(storage, storeId, (await read())?.runId ?? "run_unknown", null),
    silence: async () => {
      clock.now += 2 * DAY_MS;
      await forgetAll(storage, { openRuns: clock.now - DAY_MS });
    },
  };
  return { events, read, sync };
}

/** How a run comes to a state, and the answer that the last request got. */
const REACHED: Record<State, (run: Awaited<ReturnType<typeof openRun>>) => Promise<unknown>> = {
  none: async () => {},
  open: ({ sync }) => sync(PART),
  applied: async ({ sync }) => {
    await sync(PART);
    return sync(LAST);
  },
  ended: async ({ sync, events }) => {
    await sync(PART);
    await events.newer_refresh();
  },
  expired: async ({ sync, events }) => {
    await sync(PART);
    await events.silence();
  },
};

/** What an event did to a run, told by what there was before and is after it. */
async function react(run: Awaited<ReturnType<typeof openRun>>, state: State, event: RunEvent) {
  const earlier = await REACHED[state](run);
  const before = await run.read();
  assert.equal(before?.state ?? "none", state);
  let answer: unknown;
  try {
    answer = await run.events[event]();
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error));
    assert.deepEqual(await run.read(), before);
    return error.code;
  }
  const after = await run.read();
  if (after?.state !== before?.state) return after!.state === "open" ? "begins" : after!.state;
  const { status } = (answer ?? {}) as { status?: string };
  if (status === "staged") return after!.batches === before!.batches + 1 ? "staged" : "not counted";
  if (event === "newer_refresh" || status === undefined) return "unchanged";
  // A refresh in one request stores no run.
  if (after === undefined) return "applied";
  assert.deepEqual(answer, earlier);
  return "replayed";
}

for (const engine of engines) {
  describe(`${engine.name}: the table of a run's states`, () => {
    for (const [state, reactions] of Object.entries(RUN_TABLE) as [State, Record<RunEvent, RunReaction>][]) {
      for (const [event, reaction] of Object.entries(reactions) as [RunEvent, RunReaction][]) {
        if (reaction === "impossible") continue;
        test(`${state}, ${event}: ${reaction}`, async (t) => {
          assert.equal(await react(await openRun(t, engine), state, event), reaction);
        });
      }
    }
  });
}
