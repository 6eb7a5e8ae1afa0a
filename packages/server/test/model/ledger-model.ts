/**
 * What the contract's section 1.2 says of records, as plainly as it can be said: maps in memory and no regard for
 * speed. It shares no code with the ledger. Where both agree on every sequence of syncs, the ledger keeps the contract.
 *
 * A staged run is to be the operations of its parts, one after the other in the order of their commits, as one full
 * refresh at the moment of its last batch: `#refresh` needs no more than that.
 */

export interface ModelOperation {
  action: "upsert" | "delete";
  namespace: string;
  id: string;
  /** Stands for an upsert's content: the same text means that it is equal as JSON. */
  content: string;
}

export interface ModelSync {
  mode: "incremental" | "full_refresh";
  /** Any numbers that are ordered as the `sync_timestamp`s are. */
  timestamp: number;
  operations: ModelOperation[];
  namespaces: string[];
}

export interface ModelAnswer {
  results: Counts;
  by_namespace: Map<string, Counts>;
  changes: Record<Change | "superseded" | "cleared", number>;
}

interface Counts {
  upserted: number;
  deleted: number;
  failed: number;
}

type Change = "created" | "updated" | "unchanged" | "removed" | "absent" | "stale";

/** What is known of a record. */
interface Decision {
  /** What it says; undefined: it was deleted, and this is the tombstone. */
  content: string | undefined;
  /** The timestamp of the sync that decided it. */
  timestamp: number;
  /** When that sync arrived, ms since 1970. */
  arrivedAt: number;
  /** Which writing of a content this is: one that is unchanged is not written again. */
  writing: number;
}

interface Namespace {
  records: Map<string, Decision>;
  /** The timestamp of the last full refresh: whatever is older is stale. */
  refreshedAt: number;
  /** The newest timestamp among purged tombstones: older upserts of absent records are stale. */
  purgedAt: number;
}

const NEVER = Number.NEGATIVE_INFINITY;

export class LedgerModel {
  #namespaces = new Map<string, Namespace>();
  #writings = 0;

  /** Applies a sync that arrives at `now` (ms since 1970). */
  sync({ mode, timestamp, operations, namespaces }: ModelSync, now: number): ModelAnswer | "STALE_SYNC" {
    const affected = new Set([...namespaces, ...operations.map(({ namespace }) => namespace)]);
    if (mode === "full_refresh") {
      for (const name of affected) if (timestamp < this.#namespace(name).refreshedAt) return "STALE_SYNC";
    }
    const answer: ModelAnswer = { results: count(operations), by_namespace: new Map(), changes: noChanges() };
    for (const name of affected) {
      const own = operations.filter(({ namespace }) => namespace === name);
      answer.by_namespace.set(name, count(own));
      const last = new Map(own.map((operation) => [operation.id, operation]));
      answer.changes.superseded += own.length - last.size;
      const apply = mode === "full_refresh" ? this.#refresh : this.#increment;
      apply.call(this, this.#namespace(name), [...last.values()], timestamp, now, answer.changes);
    }
    return answer;
  }

  /** Forgets the tombstones that arrived before a moment, ms since 1970. */
  purgeTombstones(before: number): void {
    for (const namespace of this.#namespaces.values()) {
      for (const [id, { content, arrivedAt, timestamp }] of namespace.records) {
        if (content !== undefined || arrivedAt >= before) continue;
        namespace.records.delete(id);
        namespace.purgedAt = Math.max(namespace.purgedAt, timestamp);
      }
    }
  }

  exists(namespace: string, id: string): boolean {
    return this.#namespaces.get(namespace)?.records.get(id)?.content !== undefined;
  }

  /** Every record that exists. */
  records(): { namespace: string; id: string; content: string; writing: number }[] {
    return [...this.#namespaces].flatMap(([namespace, { records }]) =>
      [...records].flatMap(([id, { content, writing }]) =>
        content === undefined ? [] : [{ namespace, id, content, writing }],
      ),
    );
  }

  #increment(
    namespace: Namespace,
    operations: ModelOperation[],
    timestamp: number,
    now: number,
    changes: ModelAnswer["changes"],
  ): void {
    for (const operation of operations) {
      const known = namespace.records.get(operation.id);
      const stale = timestamp < namespace.refreshedAt || (known && timestamp < known.timestamp);
      changes[stale ? "stale" : this.#decide(namespace, operation, known, timestamp, now)]++;
    }
  }

  /** Clears the namespace, then applies the operations; what a newer sync decided stands aside from both. */
  #refresh(
    namespace: Namespace,
    operations: ModelOperation[],
    timestamp: number,
    now: number,
    changes: ModelAnswer["changes"],
  ): void {
    const before = namespace.records;
    const newer = [...before].filter(([, decision]) => decision.timestamp > timestamp);
    namespace.records = new Map(newer);
    namespace.refreshedAt = timestamp;
    for (const [id, { content }] of before) {
      const named = operations.some((operation) => operation.id === id);
      if (content !== undefined && !named && !namespace.records.has(id)) changes.cleared++;
    }
    for (const operation of operations) {
      const stale = namespace.records.has(operation.id);
      const known = before.get(operation.id);
      changes[stale ? "stale" : this.#decide(namespace, operation, known, timestamp, now)]++;
    }
  }

  /** Carries out an operation that nothing newer forbids. @param known what was known of its record before */
  #decide(
    namespace: Namespace,
    { action, id, content }: ModelOperation,
    known: Decision | undefined,
    timestamp: number,
    now: number,
  ): Change {
    const existed = known !== undefined && known.content !== undefined;
    if (action === "delete") {
      namespace.records.set(id, { content: undefined, timestamp, arrivedAt: now, writing: -1 });
      return existed ? "removed" : "absent";
    }
    if (!existed && timestamp < namespace.purgedAt) return "stale";
    const unchanged = existed && known.content === content;
    const writing = unchanged ? known.writing : this.#writings++;
    namespace.records.set(id, { content, timestamp, arrivedAt: now, writing });
    return unchanged ? "unchanged" : existed ? "updated" : "created";
  }

  #namespace(name: string): Namespace {
    const known = this.#namespaces.get(name);
    if (known) return known;
    const created: Namespace = { records: new Map(), refreshedAt: NEVER, purgedAt: NEVER };
    this.#namespaces.set(name, created);
    return created;
  }
}

function count(operations: ModelOperation[]): Counts {
  const upserted = operations.filter(({ action }) => action === "upsert").length;
  return { upserted, deleted: operations.length - upserted, failed: 0 };
}

const noChanges = (): ModelAnswer["changes"] => ({
  created: 0,
  updated: 0,
  unchanged: 0,
  removed: 0,
  absent: 0,
  stale: 0,
  superseded: 0,
  cleared: 0,
});
