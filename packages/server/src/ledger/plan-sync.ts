import { ApiError } from "@tidemark/protocol/errors";
import type { SyncChanges, SyncResults } from "@tidemark/protocol/sync";
import { formatDateTime } from "@tidemark/protocol/timestamps";
import type { LedgerWrites, NamespaceState, RecordRow } from "../storage/port.ts";
import type { Content, Operation, Sync } from "./read-sync-request.ts";

/** What the ledger says of a namespace before the sync. */
export interface NamespaceBefore {
  state: NamespaceState;
  /** The current rows of the ids that the sync names. */
  rows: RecordRow[];
  /** Full refresh: the live records that a newer sync decided, and the sum of their hashes. */
  newer: { records: number; digest: bigint };
}

/** What a sync does: its answer's counts, and what is to be written. */
export interface SyncPlan {
  results: SyncResults;
  byNamespace: Map<string, SyncResults>;
  changes: SyncChanges;
  writes: LedgerWrites;
}

/** Positions of a sync's contents within its revision: more than a batch has operations. */
const VERSIONS_PER_REVISION = 8192;

/**
 * Decides what a sync changes. The one place for the ordering rule, the refresh rule and the counts
 * (docs/internals/sync-semantics.md has them as a table).
 *
 * @param before each of `sync.namespaces`, as read under its lock
 * @param revision the store's revision that this sync will be
 * @param now the server's clock, ms since 1970
 * @throws ApiError STALE_SYNC
 */
export function planSync(sync: Sync, before: NamespaceBefore[], revision: number, now: number): SyncPlan {
  if (sync.mode === "full_refresh") refuseStaleRefresh(sync, before);
  const plan: SyncPlan = {
    results: noResults(),
    byNamespace: new Map(),
    changes: {
      created: 0,
      updated: 0,
      unchanged: 0,
      removed: 0,
      absent: 0,
      stale: 0,
      superseded: 0,
      cleared: 0,
    },
    writes: { namespaces: [], rows: [], dropRows: [], contents: [], dropContents: [], dirty: [] },
  };
  const byNamespace = Map.groupBy(sync.operations, ({ namespace }) => namespace);
  for (const namespaceBefore of before) {
    const operations = byNamespace.get(namespaceBefore.state.namespace) ?? [];
    planNamespace(sync, operations, namespaceBefore, plan, { revision, now });
  }
  return plan;
}

function refuseStaleRefresh(sync: Sync, before: NamespaceBefore[]): void {
  const newer = before.filter(({ state }) => sync.timestamp < state.refreshedAt);
  if (newer.length === 0) return;
  throw new ApiError("STALE_SYNC", {
    sync_timestamp: formatDateTime(sync.timestamp),
    namespaces: newer.map(({ state }) => ({
      namespace: state.namespace,
      last_refresh_at: formatDateTime(state.refreshedAt),
    })),
  });
}

const noResults = (): SyncResults => ({ upserted: 0, deleted: 0, failed: 0 });

function planNamespace(
  sync: Sync,
  operations: Operation[],
  before: NamespaceBefore,
  plan: SyncPlan,
  { revision, now }: { revision: number; now: number },
): void {
  const { state } = before;
  const { changes, writes } = plan;
  const refresh = sync.mode === "full_refresh";
  const results = noResults();
  plan.byNamespace.set(state.namespace, results);

  const last = new Map<string, Operation>();
  for (const operation of operations) {
    const counter = operation.action === "upsert" ? "upserted" : "deleted";
    results[counter]++;
    plan.results[counter]++;
    last.set(operation.id, operation);
  }
  changes.superseded += operations.length - last.size;

  const rows = new Map(before.rows.map((row) => [row.id, row]));
  const after: NamespaceState = { ...state };
  if (refresh) {
    after.generation = state.nextGeneration;
    after.nextGeneration = state.nextGeneration + 1;
    after.refreshedAt = sync.timestamp;
    // Until an operation names it, a record survives a refresh only because a newer sync wrote it.
    after.records = before.newer.records;
    after.digest = before.newer.digest;
  }
  if (sync.timestamp > state.newestAt) after.newestAt = sync.timestamp;
  /** A refresh decides its records by its generation, an incremental sync each by its own timestamp. */
  const decidedAt = refresh ? null : sync.timestamp;
  let named = 0;

  for (const operation of inKeyOrder(last)) {
    const { namespace, id, fingerprint } = operation;
    const row = rows.get(id);
    const live = row != null && row.version !== null;
    const { change, content } = judge(operation, row, state, sync.timestamp);
    changes[change]++;
    if (change === "stale") continue;
    if (live) named++;
    if (change === "unchanged") {
      if (refresh) {
        after.records++;
        after.digest += BigInt(`0x${row!.hash}`);
        writes.rows.push({ ...row!, generation: after.generation, decidedAt, fingerprint });
      } else if (sync.timestamp > decidedBy(row!, state)) {
        writes.rows.push({ ...row!, decidedAt, fingerprint });
      }
      continue;
    }
    if (live && !refresh) {
      after.records--;
      after.digest -= BigInt(`0x${row.hash}`);
    }
    const written = { namespace, id, generation: after.generation, decidedAt, writtenAt: now };
    if (content) {
      after.records++;
      after.digest += BigInt(`0x${content.hash}`);
      const version = revision * VERSIONS_PER_REVISION + writes.contents.length;
      writes.contents.push({ version, content: content.text });
      writes.dirty.push({ version, namespace, id });
      writes.rows.push({ ...written, version, hash: content.hash, fingerprint });
    } else if (!refresh) {
      writes.rows.push({ ...written, version: null, hash: null, fingerprint: null });
    }
    // What a refresh leaves behind is invisible and swept later; an incremental sync replaces the row itself.
    if (!refresh && row) {
      if (row.generation !== after.generation) writes.dropRows.push(row);
      if (row.version !== null) {
        writes.dropContents.push(row.version);
        writes.dirty.push({ version: row.version, namespace, id });
      }
    }
  }
  if (refresh) changes.cleared += state.records - before.newer.records - named;
  after.digest = BigInt.asUintN(256, after.digest);
  writes.namespaces.push(after);
}

/** Sorted by id, so that overlapping syncs meet their rows in one order, and neighbours are written together. */
function inKeyOrder(operations: Map<string, Operation>): Operation[] {
  return [...operations.values()].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}

interface Judgement {
  change: Exclude<keyof SyncChanges, "superseded" | "cleared">;
  /** What is to be written, for a record that is created or updated. */
  content?: Content;
}

/** What an operation does to its record, which has this current row or none. */
function judge(
  operation: Operation,
  row: RecordRow | undefined,
  namespace: NamespaceState,
  timestamp: bigint,
): Judgement {
  if (timestamp < (row ? decidedBy(row, namespace) : namespace.refreshedAt)) return { change: "stale" };
  const live = row != null && row.version !== null;
  if (operation.action === "delete") return { change: live ? "removed" : "absent" };
  if (!live && timestamp < namespace.purgedAt) return { change: "stale" };
  if (live && operation.fingerprint !== null && operation.fingerprint === row.fingerprint) {
    return { change: "unchanged" };
  }
  const content = operation.content();
  if (!live) return { change: "created", content };
  return row.hash === content.hash ? { change: "unchanged" } : { change: "updated", content };
}

/** The timestamp of the sync that decided a current row: its own, or that of the namespace's last refresh. */
function decidedBy(row: RecordRow, namespace: NamespaceState): bigint {
  return row.decidedAt !== null && row.decidedAt > namespace.refreshedAt
    ? row.decidedAt
    : namespace.refreshedAt;
}
