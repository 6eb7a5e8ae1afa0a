import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ApiError } from "@tidemark/protocol/errors";
import { parseDateTime } from "@tidemark/protocol/timestamps";
import { answerTo } from "../../src/ledger/answer.ts";
import { newPlan } from "../../src/ledger/plan.ts";
import { planIncremental } from "../../src/ledger/plan-incremental.ts";
import { beginRun, planFlip, refuseStaleRefresh, stageOperations } from "../../src/ledger/plan-refresh.ts";
import { readSyncRequest, type Sync } from "../../src/ledger/read-sync-request.ts";
import type { NamespaceState, RecordRow, RecordSum } from "../../src/storage/port.ts";
import { readJson } from "../../src/wire/read-json.ts";
import {
  contentAfter,
  DECIDED_AT,
  HOURS,
  INCREMENTAL_RULES,
  type Operation,
  type Outcome,
  REFRESH_RULES,
  type RecordState,
  timeOf,
} from "./ordering-rules.ts";

const NOW = Date.UTC(2025, 10, 11, 12);
const REVISION = 7;
const ns = (text: string) => parseDateTime(text)!.ns;

function syncOf(fields: Record<string, unknown>): Sync {
  const request = {
    organization_id: "org_a",
    vector_store_id: "vs_a",
    sync_mode: "incremental",
    sync_timestamp: DECIDED_AT,
    operations: [],
    ...fields,
  };
  return readSyncRequest(readJson(Buffer.from(JSON.stringify(request)), "operations"));
}

/** The state of a namespace before a sync. */
interface NamespaceBefore {
  state: NamespaceState;
  rows: RecordRow[];
  newer: RecordSum;
}

/** Plans a sync of one request, as the ledger does in its transaction. */
function planSync(sync: Sync, before: NamespaceBefore[], revision: number, now: number) {
  const plan = newPlan(revision, now, false);
  const states = before.map(({ state }) => state);
  if (sync.mode === "full_refresh") refuseStaleRefresh(sync.timestamp, states);
  for (const { state, rows, newer } of before) {
    const namespace = {
      state: { ...state },
      operations: sync.operations.filter((operation) => operation.namespace === state.namespace),
      rows: new Map(rows.map((row) => [row.id, row])),
      runs: [],
      staged: new Map(),
    };
    if (sync.mode === "incremental") planIncremental(plan, namespace, sync.timestamp);
    else {
      const run = beginRun("run_a", sync.timestamp, namespace.state, newer);
      stageOperations(plan, namespace, run, new Set());
      planFlip(plan, namespace, run, []);
    }
  }
  const context = { syncId: "", runId: "", connectorId: "", traceId: "", now, started: 0, idempotency: null };
  const affected = states.map(({ namespace }) => namespace);
  const { results, by_namespace } = answerTo(sync, plan, context, affected).response;
  return { results, byNamespace: new Map(Object.entries(by_namespace)), ...plan };
}

const upsert = (id: string, data: object = {}, namespace = "tasks") => ({
  action: "upsert",
  id,
  namespace,
  data,
});
const remove = (id: string, namespace = "tasks") => ({ action: "delete", id, namespace });

function stateOf(namespace: string, fields: Partial<NamespaceState> = {}): NamespaceState {
  return {
    namespace,
    generation: 3,
    nextGeneration: 4,
    refreshedAt: 0n,
    newestAt: ns(DECIDED_AT),
    purgedAt: 0n,
    records: 0,
    digest: 0n,
    ...fields,
  };
}

const NEWER_NONE = { records: 0, digest: 0n };

/** A row with this data, as an earlier sync at `decidedAt` left it. */
function rowOf(id: string, data: object | null, fields: Partial<RecordRow> = {}): RecordRow {
  const hash = data && syncOf({ operations: [upsert(id, data)] }).operations[0]!.content().hash;
  return {
    namespace: "tasks",
    id,
    generation: 3,
    carriedIn: null,
    alsoCarriedIn: null,
    decidedAt: ns(DECIDED_AT),
    version: data ? 8192 : null,
    hash,
    fingerprint: null,
    indexed: null,
    writtenAt: NOW - 1,
    ...fields,
  };
}

function namespaceIn(state: RecordState, mode: Sync["mode"], timestamp: bigint): NamespaceBefore {
  const decidedAt = ns(DECIDED_AT);
  const byRefresh = state === "refreshed A" || state === "cleared";
  const row =
    state === "A"
      ? rowOf("record", { said: "A" })
      : state === "refreshed A"
        ? rowOf("record", { said: "A" }, { decidedAt: null })
        : state === "deleted"
          ? rowOf("record", null)
          : undefined;
  const live = row?.version != null;
  const survives = mode === "full_refresh" && live && !byRefresh && timestamp < decidedAt;
  return {
    state: stateOf("tasks", {
      refreshedAt: byRefresh ? decidedAt : 0n,
      purgedAt: state === "purged" ? decidedAt : 0n,
      records: live ? 1 : 0,
      digest: live ? BigInt(`0x${row.hash}`) : 0n,
    }),
    rows: row ? [row] : [],
    newer: survives ? { records: 1, digest: BigInt(`0x${row.hash}`) } : NEWER_NONE,
  };
}

const operationsFor = (operation: Operation) => {
  if (operation === "not named") return [];
  const [action, said] = operation.split(" ");
  return [action === "upsert" ? upsert("record", { said }) : remove("record")];
};

describe("planSync follows the ordering rules", () => {
  for (const [mode, rules] of [
    ["incremental", INCREMENTAL_RULES],
    ["full_refresh", REFRESH_RULES],
  ] as const) {
    for (const [state, operation, ...outcomes] of rules) {
      test(`${mode}: ${state} + ${operation}: ${outcomes.join(", ")}`, () => {
        for (const [index, hour] of HOURS.entries())
          checkRule(mode, state, operation, hour, outcomes[index]!);
      });
    }
  }
});

function checkRule(
  mode: Sync["mode"],
  state: RecordState,
  operation: Operation,
  hour: (typeof HOURS)[number],
  outcome: Outcome,
): void {
  const sync = syncOf({
    sync_mode: mode,
    sync_timestamp: timeOf(hour),
    operations: operationsFor(operation),
    ...(mode === "full_refresh" ? { namespaces: ["tasks"] } : {}),
  });
  const before = namespaceIn(state, mode, sync.timestamp);
  // A refresh does not read rows of records that it does not name.
  if (operation === "not named") before.rows = [];
  const plan = () => planSync(sync, [before], REVISION, NOW);
  if (outcome === "409") {
    assert.throws(plan, (error) => error instanceof ApiError && error.code === "STALE_SYNC");
    return;
  }
  const { changes, writes } = plan();
  const counted = Object.entries(changes).filter(([, count]) => count > 0);
  assert.deepEqual(counted, outcome === "nothing" ? [] : [[outcome, 1]], hour);

  const [after] = writes.namespaces;
  const said = contentAfter(state, operation, outcome);
  assert.equal(after!.records, said ? 1 : 0, "live records");
  assert.equal(
    after!.digest,
    said ? BigInt(`0x${rowOf("record", { said }).hash}`) : 0n,
    "the digest is that of what the record says",
  );
  assert.equal(after!.generation, mode === "full_refresh" ? 4 : 3);
  const isNew = outcome === "created" || outcome === "updated";
  assert.deepEqual(
    writes.contents.map(({ content }) => content),
    isNew ? [JSON.stringify({ data: { said } })] : [],
    "only a new content is written",
  );
  const decides = !["stale", "cleared", "nothing"].includes(outcome);
  const repeats = mode === "incremental" && outcome === "unchanged" && hour === "equal";
  assert.equal(writes.rows.length, decides && !repeats ? 1 : 0, "rows");
}

describe("planSync", () => {
  const plan = (fields: Record<string, unknown>, before: NamespaceBefore[]) =>
    planSync(syncOf(fields), before, REVISION, NOW);
  const empty = (namespace = "tasks"): NamespaceBefore => ({
    state: stateOf(namespace),
    rows: [],
    newer: NEWER_NONE,
  });

  test("lets the last operation on a record decide, and counts the others as superseded", () => {
    const { results, byNamespace, changes, writes } = plan(
      {
        operations: [
          upsert("a", { n: 1 }),
          remove("a"),
          upsert("a", { n: 3 }),
          upsert("b"),
          remove("b"),
          upsert("a", { n: 1 }, "other"),
        ],
      },
      [empty("other"), empty("tasks")],
    );
    assert.deepEqual(results, { upserted: 4, deleted: 2, failed: 0 });
    assert.deepEqual(byNamespace.get("tasks"), { upserted: 3, deleted: 2, failed: 0 });
    assert.deepEqual([changes.created, changes.absent, changes.superseded], [2, 1, 3]);
    const contents = writes.contents.map(({ content }) => content);
    assert.deepEqual(contents, ['{"data":{"n":1}}', '{"data":{"n":3}}']);
  });

  test("has an entry for every affected namespace, even with zeros only", () => {
    const { byNamespace } = plan(
      { sync_mode: "full_refresh", namespaces: ["b", "a"], operations: [remove("x", "c")] },
      [empty("a"), empty("b"), empty("c")],
    );
    assert.deepEqual(Object.fromEntries(byNamespace), {
      a: { upserted: 0, deleted: 0, failed: 0 },
      b: { upserted: 0, deleted: 0, failed: 0 },
      c: { upserted: 0, deleted: 1, failed: 0 },
    });
  });

  test("rejects a refresh that is stale in one of its namespaces, and names that namespace", () => {
    const stale = { state: stateOf("b", { refreshedAt: ns(timeOf("newer")) }), rows: [], newer: NEWER_NONE };
    const refused = () => plan({ sync_mode: "full_refresh", namespaces: ["a", "b"] }, [empty("a"), stale]);
    assert.throws(refused, (error: ApiError) => {
      assert.equal(error.code, "STALE_SYNC");
      assert.deepEqual(error.details, {
        sync_timestamp: DECIDED_AT,
        namespaces: [{ namespace: "b", last_refresh_at: timeOf("newer") }],
      });
      return true;
    });
  });

  test("writes only the namespace for an unchanged record with the same timestamp", () => {
    const before = {
      state: stateOf("tasks", { records: 1 }),
      rows: [rowOf("a", { n: 1 })],
      newer: NEWER_NONE,
    };
    const { writes } = plan({ operations: [upsert("a", { n: 1 })] }, [before]);
    const { namespaces, ...others } = writes;
    assert.equal(namespaces.length, 1);
    for (const [name, list] of Object.entries(others)) assert.deepEqual(list, [], name);
  });

  test("only touches the row of an unchanged record with a newer timestamp", () => {
    const row = rowOf("a", { n: 1 });
    const before = { state: stateOf("tasks", { records: 1 }), rows: [row], newer: NEWER_NONE };
    const { writes } = plan({ sync_timestamp: timeOf("newer"), operations: [upsert("a", { n: 1 })] }, [
      before,
    ]);
    assert.equal(writes.rows.length, 1);
    const { version, hash, writtenAt, decidedAt } = writes.rows[0]!;
    assert.deepEqual(
      { version, hash, writtenAt },
      { version: row.version, hash: row.hash, writtenAt: row.writtenAt },
    );
    assert.equal(decidedAt, ns(timeOf("newer")));
    assert.deepEqual([writes.contents, writes.dropContents, writes.enqueue], [[], [], []]);
  });

  test("enqueues new versions, and versions that no row is found by any longer, in the same writes", () => {
    const rows = [
      rowOf("a", { n: 1 }, { version: 11, indexed: 11 }),
      rowOf("b", { n: 1 }, { version: 12, indexed: 9 }),
    ];
    const before = { state: stateOf("tasks", { records: 2 }), rows, newer: NEWER_NONE };
    const { writes } = plan({ operations: [upsert("a", { n: 2 }), remove("b"), upsert("c")] }, [before]);
    const added = writes.contents.map(({ version }) => version);
    assert.equal(new Set(added).size, 2);
    assert.deepEqual(writes.dropContents, [11, 12]);
    // An updated record is found by its old version until the new one is indexed; a deleted record by none.
    assert.deepEqual(
      writes.rows.map(({ id, indexed }) => [id, indexed]),
      [
        ["a", 11],
        ["b", null],
        ["c", null],
      ],
    );
    const queued = writes.enqueue.map(({ version, id }) => `${id} ${version}`).sort();
    assert.deepEqual(queued, [`a ${added[0]}`, "b 9", `c ${added[1]}`].sort());
  });

  test("gives contents version numbers that grow from sync to sync and are never reused", () => {
    const operations = Array.from({ length: 5000 }, (_, index) => upsert(`id-${index}`));
    const versions = [1, 2].flatMap((revision) =>
      planSync(syncOf({ operations }), [empty()], revision, NOW).writes.contents.map(
        ({ version }) => version,
      ),
    );
    assert.deepEqual(
      versions,
      [...new Set(versions)].sort((a, b) => a - b),
    );
  });

  test("makes the digest independent of the order of records", () => {
    const digestOf = (ids: string[]) => {
      let before = empty();
      for (const id of ids) {
        const { writes } = plan({ operations: [upsert(id, { of: id })] }, [before]);
        before = { ...before, state: writes.namespaces[0]! };
      }
      return before.state.digest;
    };
    assert.equal(digestOf(["a", "b", "c", "d", "e"]), digestOf(["d", "b", "e", "a", "c"]));
    assert.notEqual(digestOf(["a", "b"]), digestOf(["a", "c"]));
    assert.ok(digestOf(["a", "b", "c", "d", "e", "f", "g", "h"]) < 1n << 256n);
  });

  test("removes a record's old row of an earlier generation", () => {
    const row = rowOf("a", { n: 1 }, { generation: 2, version: 11 });
    const before = { state: stateOf("tasks", { records: 1 }), rows: [row], newer: NEWER_NONE };
    const { writes } = plan({ operations: [upsert("a", { n: 2 })] }, [before]);
    assert.deepEqual(
      writes.dropRows.map(({ id, generation }) => ({ id, generation })),
      [{ id: "a", generation: 2 }],
    );
    assert.deepEqual(
      writes.rows.map(({ generation }) => generation),
      [3],
    );
  });
});
