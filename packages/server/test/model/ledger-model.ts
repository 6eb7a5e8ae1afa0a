/**
 * A model of the contract's section 1.2, as simple as possible: maps in memory, without regard for speed. It shares no
 * code with the ledger. If both agree on every sequence of syncs, the ledger keeps the contract.
 *
 * A staged run acts as one full refresh at its last batch, with the operations of its parts in commit order.
 */

export interface ModelOperation {
  /** `invalid`: cannot be applied; the request has `on_error: continue`. */
  action: "upsert" | "delete" | "invalid";
  namespace: string;
  id: string;
  /** Stands for an upsert's content: equal texts mean equal JSON. */
  content: string;
}

export interface ModelSync {
  mode: "incremental" | "full_refresh";
  /** Any number, in the order of the `sync_timestamp`s. */
  timestamp: number;
  operations: ModelOperation[];
  namespaces: string[];
  /** The connector that sends it; a staged run belongs to one connector. */
  connector: string;
  /** For a full refresh. */
  refreshId?: string | undefined;
  lastBatch?: boolean;
  expectedOperations?: number | undefined;
  /** How many records of a namespace the sync may remove. */
  removalLimit?: number | undefined;
}

export interface ModelAnswer {
  status: "success" | "partial" | "staged";
  refresh: { refresh_id: string | null; operations: number; batches: number } | undefined;
  results: Counts;
  by_namespace: Map<string, Counts>;
  changes: Record<Change | "superseded" | "cleared", number>;
}

/** A staged run. */
interface Run {
  timestamp: number;
  state: "open" | "applied" | "ended" | "expired";
  parts: string[];
  operations: ModelOperation[];
  namespaces: Set<string>;
  lastPartAt: number;
  /** The last batch of an applied run, and its answer. */
  last?: string;
  answer?: ModelAnswer;
}

export type Refusal = "STALE_SYNC" | "INCOMPLETE_REFRESH" | "REMOVAL_LIMIT_EXCEEDED";

interface Counts {
  upserted: number;
  deleted: number;
  failed: number;
}

type Change = "created" | "updated" | "unchanged" | "removed" | "absent" | "stale";

/** What is known of a record. */
interface Decision {
  /** The record's content; undefined: this is a tombstone. */
  content: string | undefined;
  /** The timestamp of the sync that decided it. */
  timestamp: number;
  /** When that sync arrived, ms since 1970. */
  arrivedAt: number;
  /** The number of the content's write: an unchanged content is not written again. */
  writing: number;
}

interface Namespace {
  records: Map<string, Decision>;
  /** The timestamp of the last full refresh: older operations are stale. */
  refreshedAt: number;
  /** The newest timestamp among purged tombstones: older upserts of absent records are stale. */
  purgedAt: number;
}

const NEVER = Number.NEGATIVE_INFINITY;

export class LedgerModel {
  #namespaces = new Map<string, Namespace>();
  #writings = 0;

  #runs = new Map<string, Run>();

  /** Applies a sync that arrives at `now` (ms since 1970), or rejects it and changes nothing. */
  sync(sync: ModelSync, now: number): ModelAnswer | Refusal {
    const before = structuredClone(this.#namespaces);
    const answer =
      sync.mode === "full_refresh"
        ? this.#refreshRequest(sync, now)
        : this.#apply(sync, sync.operations, now);
    if (typeof answer === "string") this.#namespaces = before;
    return answer;
  }

  #refreshRequest(sync: ModelSync, now: number): ModelAnswer | Refusal {
    const { connector, timestamp, operations, lastBatch = true, refreshId } = sync;
    const identity = JSON.stringify([connector, timestamp, refreshId]);
    const part = identityOf(operations);
    const own = new Set([...sync.namespaces, ...operations.map(({ namespace }) => namespace)]);
    const last = JSON.stringify([part, [...own].sort()]);
    const known = this.#runs.get(identity);
    if (known?.state === "ended") return "STALE_SYNC";
    if (known?.state === "applied") {
      return lastBatch && last === known.last ? known.answer! : "STALE_SYNC";
    }
    if (known?.state === "expired" && lastBatch) return "INCOMPLETE_REFRESH";
    const open = known?.state === "open" ? known : undefined;
    const affected = new Set([...sync.namespaces, ...operations.map(({ namespace }) => namespace)]);
    if (lastBatch) for (const name of open?.namespaces ?? []) affected.add(name);
    for (const name of affected) if (timestamp < this.#namespace(name).refreshedAt) return "STALE_SYNC";

    const run: Run = {
      timestamp,
      state: "open",
      parts: [...(open?.parts ?? [])],
      operations: [...(open?.operations ?? [])],
      namespaces: new Set([...(open?.namespaces ?? []), ...affected]),
      lastPartAt: now,
    };
    if (!run.parts.includes(part)) {
      run.parts.push(part);
      run.operations.push(...operations);
    } else run.parts = [...run.parts.filter((other) => other !== part), part];
    const staged = open !== undefined || !lastBatch;
    const progress = {
      refresh_id: refreshId ?? null,
      operations: run.operations.length,
      batches: run.parts.length,
    };
    if (!lastBatch) {
      this.#runs.set(identity, run);
      const by_namespace = countEach(affected, operations);
      return {
        status: "staged",
        results: count(operations),
        by_namespace,
        changes: noChanges(),
        refresh: progress,
      };
    }
    const expected = sync.expectedOperations;
    if (expected !== undefined && expected !== run.operations.length) return "INCOMPLETE_REFRESH";
    const whole = { ...sync, namespaces: [...run.namespaces] };
    const answer = this.#apply(whole, run.operations, now);
    if (typeof answer === "string") return answer;
    answer.results = count(operations);
    answer.status = operations.some(({ action }) => action === "invalid") ? "partial" : "success";
    answer.by_namespace = countEach(affected, operations);
    answer.refresh = staged ? progress : undefined;
    if (staged) this.#runs.set(identity, { ...run, state: "applied", last, answer });
    for (const other of this.#runs.values()) {
      const shares = [...other.namespaces].some((name) => run.namespaces.has(name));
      if (other.state === "open" && other.timestamp < timestamp && shares) other.state = "ended";
    }
    return answer;
  }

  /** Applies operations to every affected namespace, unless one would lose more than the limit. */
  #apply(sync: ModelSync, operations: ModelOperation[], now: number): ModelAnswer | Refusal {
    const { mode, timestamp, namespaces } = sync;
    const affected = new Set([...namespaces, ...operations.map(({ namespace }) => namespace)]);
    const failed = operations.some(({ action }) => action === "invalid");
    const answer: ModelAnswer = {
      status: failed ? "partial" : "success",
      results: count(operations),
      by_namespace: countEach(affected, operations),
      changes: noChanges(),
      refresh: undefined,
    };
    let exceeded = false;
    for (const name of affected) {
      const own = operations.filter(({ namespace }) => namespace === name);
      const valid = own.filter(({ action }) => action !== "invalid");
      const last = new Map(valid.map((operation) => [operation.id, operation]));
      answer.changes.superseded += valid.length - last.size;
      const lostBefore = answer.changes.removed + answer.changes.cleared;
      const namespace = this.#namespace(name);
      if (mode === "incremental") {
        this.#increment(namespace, [...last.values()], timestamp, now, answer.changes);
      } else {
        const kept = own
          .filter(({ action, id }) => action === "invalid" && !last.has(id))
          .map(({ id }) => id);
        this.#refresh(namespace, [...last.values()], new Set(kept), timestamp, now, answer.changes);
      }
      const lost = answer.changes.removed + answer.changes.cleared - lostBefore;
      if (sync.removalLimit !== undefined && lost > sync.removalLimit) exceeded = true;
    }
    return exceeded ? "REMOVAL_LIMIT_EXCEEDED" : answer;
  }

  /** Expires the open runs whose last part arrived before a time, ms since 1970. */
  expireRuns(before: number): void {
    for (const run of this.#runs.values()) {
      if (run.state === "open" && run.lastPartAt < before) run.state = "expired";
    }
  }

  /** How many runs are open. */
  openRuns(): number {
    return [...this.#runs.values()].filter(({ state }) => state === "open").length;
  }

  /** Purges tombstones that arrived before a time, ms since 1970, in namespaces without an open run. */
  purgeTombstones(before: number): void {
    const open = [...this.#runs.values()].filter(({ state }) => state === "open");
    for (const [name, namespace] of this.#namespaces) {
      if (open.some(({ namespaces }) => namespaces.has(name))) continue;
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

  /**
   * Clears the namespace, then applies the operations; neither affects records that a newer sync decided.
   * @param kept ids of records that stay unchanged
   */
  #refresh(
    namespace: Namespace,
    operations: ModelOperation[],
    kept: Set<string>,
    timestamp: number,
    now: number,
    changes: ModelAnswer["changes"],
  ): void {
    const before = namespace.records;
    const newer = [...before].filter(([, decision]) => decision.timestamp > timestamp);
    namespace.records = new Map(newer);
    namespace.refreshedAt = timestamp;
    for (const [id, decision] of before) {
      const { content } = decision;
      if (kept.has(id) && content !== undefined && !namespace.records.has(id))
        namespace.records.set(id, decision);
    }
    for (const [id, { content }] of before) {
      const named = operations.some((operation) => operation.id === id);
      if (content !== undefined && !named && !namespace.records.has(id)) changes.cleared++;
    }
    for (const operation of operations) {
      const known = before.get(operation.id);
      const stale = known !== undefined && known.timestamp > timestamp;
      changes[stale ? "stale" : this.#decide(namespace, operation, known, timestamp, now)]++;
    }
  }

  /** Applies an operation that is not stale. @param known the record before it */
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

/** Equal for two parts with equal operations in the same order, including failed ones. */
function identityOf(operations: ModelOperation[]): string {
  const asked = ({ action, namespace, id, content }: ModelOperation) =>
    action === "upsert" ? [action, namespace, id, content] : [action, namespace, id];
  const isValid = ({ action }: ModelOperation) => action !== "invalid";
  const failed = operations.filter((operation) => !isValid(operation));
  return JSON.stringify([operations.filter(isValid).map(asked), failed.map(asked)]);
}

function count(operations: ModelOperation[]): Counts {
  const of = (wanted: string) => operations.filter(({ action }) => action === wanted).length;
  return { upserted: of("upsert"), deleted: of("delete"), failed: of("invalid") };
}

function countEach(names: Set<string>, operations: ModelOperation[]): Map<string, Counts> {
  return new Map(
    [...names].map((name) => [name, count(operations.filter(({ namespace }) => namespace === name))]),
  );
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
