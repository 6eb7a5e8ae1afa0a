import { LIMITS } from "@tidemark/protocol/limits";
import type { Sampled, SyncChanges } from "@tidemark/protocol/sync";
import type { LedgerWrites, NamespaceState, RecordRow, RecordSum } from "../storage/port.ts";
import { VERSIONS_PER_REVISION } from "../storage/rules.ts";
import type { Content } from "./operation.ts";

/** What a sync is going to change and write, collected while it is planned. */
export interface Plan {
  changes: SyncChanges;
  writes: LedgerWrites;
  /** Ids of each kind of change; only a dry run collects them. */
  samples: Record<Sampled, string[]> | null;
  /** The revision that the sync will have. */
  revision: number;
  /** The server's clock, ms since 1970. */
  now: number;
}

export function newPlan(revision: number, now: number, dryRun: boolean): Plan {
  return {
    changes: noChanges(),
    samples: dryRun
      ? { created: [], updated: [], unchanged: [], removed: [], absent: [], stale: [], cleared: [] }
      : null,
    writes: {
      namespaces: [],
      rows: [],
      touch: [],
      carry: [],
      dropRows: [],
      contents: [],
      dropContents: [],
      enqueue: [],
      sweep: [],
      runs: [],
      runNamespaces: [],
      parts: [],
      runExceptions: [],
      endRuns: [],
    },
    revision,
    now,
  };
}

export function noChanges(): SyncChanges {
  return {
    created: 0,
    updated: 0,
    unchanged: 0,
    removed: 0,
    absent: 0,
    stale: 0,
    superseded: 0,
    cleared: 0,
  };
}

/** Adds an id to a dry run's examples of a kind of change. */
export function sample({ samples }: Plan, kind: Sampled, id: string): void {
  if (samples && samples[kind].length < LIMITS.sampleIds) samples[kind].push(id);
}

/** Plans a new content. @returns its version */
export function addContent(plan: Plan, namespace: string, id: string, content: Content): number {
  const version = plan.revision * VERSIONS_PER_REVISION + plan.writes.contents.length;
  plan.writes.contents.push({ version, content: content.text });
  plan.writes.enqueue.push({ version, namespace, id });
  return version;
}

/** Drops contents that no row of an id has any longer, and enqueues versions that no row is found by any longer. */
export function dropUnused(
  plan: Plan,
  namespace: string,
  id: string,
  rowsBefore: (RecordRow | undefined)[],
  rowsAfter: (RecordRow | undefined)[],
): void {
  for (const row of rowsBefore) {
    const version = row?.version ?? null;
    if (version !== null && !rowsAfter.some((kept) => kept?.version === version))
      plan.writes.dropContents.push(version);
    const indexed = row?.indexed ?? null;
    if (indexed !== null && !rowsAfter.some((kept) => kept?.indexed === indexed))
      plan.writes.enqueue.push({ version: indexed, namespace, id });
  }
}

/**
 * The row that a sync writes for a record.
 * @param before the record's current row: until the new content is indexed, the new row is found by the same version
 */
export function recordRow(
  plan: Plan,
  { namespace, id, fingerprint }: Pick<RecordRow, "namespace" | "id" | "fingerprint">,
  generation: number,
  decidedAt: bigint | null,
  content: { version: number; hash: string } | null,
  before: RecordRow | undefined,
): RecordRow {
  return {
    namespace,
    id,
    generation,
    carriedIn: null,
    alsoCarriedIn: null,
    decidedAt,
    version: content?.version ?? null,
    hash: content?.hash ?? null,
    fingerprint: content ? fingerprint : null,
    writtenAt: plan.now,
    indexed: content ? (before?.indexed ?? null) : null,
  };
}

/** Adds a record to a sum. */
export function add(sum: RecordSum, hash: string): void {
  sum.records++;
  sum.digest = BigInt.asUintN(256, sum.digest + BigInt(`0x${hash}`));
}

/** Takes a record out of a sum. */
export function subtract(sum: RecordSum, hash: string): void {
  sum.records--;
  sum.digest = BigInt.asUintN(256, sum.digest - BigInt(`0x${hash}`));
}

export const laterOf = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** A namespace's state whose `newestAt` is at least a timestamp. */
export function withNewest(state: NamespaceState, timestamp: bigint): NamespaceState {
  return { ...state, newestAt: laterOf(state.newestAt, timestamp) };
}
