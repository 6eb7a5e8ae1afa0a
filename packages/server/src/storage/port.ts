/**
 * The seam between what Tidemark decides and where it is kept. An engine implements these interfaces and passes
 * `test/conformance/`; nothing outside `storage/` knows which engine runs.
 */

import type { MaintenanceStep } from "./background-step.ts";
import type { IndexStorage, IndexTransaction, RecordVersion } from "./index-port.ts";
import type { StoreTable } from "./store-tables.ts";

export type SqlValue = string | number | bigint | null;
export type SqlRow = Record<string, SqlValue>;

/** Runs the plain statements that every engine understands alike, with `$1`-style placeholders. */
export interface Sql {
  all(text: string, values?: SqlValue[]): Promise<SqlRow[]>;
}

/** Ids of one namespace. */
export interface NamespaceIds {
  namespace: string;
  ids: string[];
}

/** Where a namespace stands. Times are sync timestamps in nanoseconds since 1970. */
export interface NamespaceState {
  namespace: string;
  /** The generation that readers see. */
  generation: number;
  /** The first generation that was never used. */
  nextGeneration: number;
  /** The last full refresh; 0 if there was none. It is a floor for every record of the namespace. */
  refreshedAt: bigint;
  /** No record was decided by a later sync than this. */
  newestAt: bigint;
  /** The newest among the tombstones that were purged; 0 if none was. */
  purgedAt: bigint;
  /** Live records, and the sum of their hashes modulo 2^256. */
  records: number;
  digest: bigint;
}

/** One narrow row of the ledger. */
export interface RecordRow {
  namespace: string;
  id: string;
  /** The one that it was written for. */
  generation: number;
  /**
   * Generations of later refreshes that the row was carried into; those of refreshes that are over mean nothing.
   */
  carriedIn: number | null;
  alsoCarriedIn: number | null;
  /** The sync that decided the record, where no later refresh did; null: the full refresh of its generation. */
  decidedAt: bigint | null;
  /** The version of its content; null: the row is a tombstone. */
  version: number | null;
  /** SHA-256 of id and content in hex; null for a tombstone. */
  hash: string | null;
  /** Of the operation's text that last said this content; null if it is not known. */
  fingerprint: string | null;
  /** When this content, or the tombstone, arrived: ms since 1970. */
  writtenAt: number;
  /** The version whose text search finds the record by: an earlier one until the index has this; null: none yet. */
  indexed: number | null;
}

export interface Content {
  version: number;
  /** Canonical JSON. */
  content: string;
}

/** Rows of one namespace that a newer sync decided the same. */
export interface Touch {
  namespace: string;
  ids: string[];
  generation: number;
  decidedAt: bigint;
}

/** Rows of one namespace that are carried into the generation of a refresh. */
export interface Carry {
  namespace: string;
  ids: string[];
  generation: number;
  carriedIn: number;
  alsoCarriedIn: number | null;
}

/** How many records there are, and the sum of their hashes modulo 2^256. */
export interface RecordSum {
  records: number;
  digest: bigint;
}

/** What became of the operations of an unfinished run, as if it were applied now. */
export interface Tallies {
  created: number;
  updated: number;
  unchanged: number;
  removed: number;
  absent: number;
  stale: number;
  superseded: number;
}

/** `ended`: by a newer refresh. `expired`: by age, or because someone aborted it. */
export type RunState = "open" | "applied" | "ended" | "expired";

/** What a run is when it is over. */
export type EndState = Exclude<RunState, "open">;

/** A staged full refresh. */
export interface RefreshRun {
  runId: string;
  connectorId: string;
  timestamp: bigint;
  /** '' if the caller gave none. */
  refreshId: string;
  state: RunState;
  /** Operations that arrived, failed ones among them, and parts; a part that came twice counts once. */
  operations: number;
  failed: number;
  batches: number;
  startedAt: number;
  lastPartAt: number;
  /** Of an applied run: the hash of its last batch, and the answer to it. */
  lastPart: string | null;
  answer: string | null;
}

/** What an open run has staged for one namespace. */
export interface RunNamespace {
  runId: string;
  namespace: string;
  timestamp: bigint;
  /** Its rows have this generation. */
  generation: number;
  /** Its rows that are records. */
  upserts: RecordSum;
  /** Live records of the namespace that a newer sync decided: they survive the run. */
  newer: RecordSum;
  tallies: Tallies;
  /** True: another refresh changed the namespace since, so the tallies must be counted again. */
  recount: boolean;
}

/** A record that a run names without a staged row of it. */
export interface RunException {
  runId: string;
  namespace: string;
  id: string;
  kind: "failed" | "stale";
}

/** An acknowledged sync, as history keeps it. */
export interface SyncRow {
  revision: number;
  syncId: string;
  connectorId: string;
  mode: string;
  status: string;
  timestamp: bigint;
  refreshId: string | null;
  receivedAt: number;
  durationMs: number;
  traceId: string;
  results: string;
  byNamespace: string;
  changes: string;
}

/** What a sync writes: each list is one set-based step. */
export interface LedgerWrites {
  namespaces: NamespaceState[];
  /** Inserted, or put in the place of the row with the same namespace, id and generation. */
  rows: RecordRow[];
  /** Rows of which only the time changes: narrower than putting them anew. */
  touch: Touch[];
  /** Rows of which only the generations change that they are carried into. */
  carry: Carry[];
  dropRows: Pick<RecordRow, "namespace" | "id" | "generation">[];
  contents: Content[];
  dropContents: number[];
  /** Versions that the index has to look at: contents that came, and those that search found records by until now. */
  enqueue: RecordVersion[];
  /** Namespaces where rows have died: they are swept from the beginning. */
  sweep: string[];
  runs: RefreshRun[];
  runNamespaces: RunNamespace[];
  parts: { runId: string; part: string }[];
  runExceptions: RunException[];
  /** Runs that this sync ends, as {@link RefreshRuns.end} does. */
  endRuns: { runId: string; state: EndState }[];
}

/** The staged refreshes of one store, within a transaction. */
export interface RefreshRuns {
  /** The run of a connector by what its requests have in common. */
  find(connectorId: string, timestamp: bigint, refreshId: string): Promise<RefreshRun | undefined>;
  /** The run with an id. */
  get(runId: string): Promise<RefreshRun | undefined>;
  /** The namespaces that a run has staged rows in. */
  namespacesOf(runId: string): Promise<string[]>;
  /** What every open run has staged in some namespaces. */
  openIn(namespaces: string[]): Promise<RunNamespace[]>;
  hasPart(runId: string, part: string): Promise<boolean>;
  /** The records that a run failed on. */
  failedRecords(runId: string): Promise<Pick<RecordRow, "namespace" | "id">[]>;
  /** Which of the ids a run names in vain, because a newer sync decided them. */
  staleIds(runId: string, namespace: string, ids: string[]): Promise<string[]>;
  /** Counts again what the rows of a run would do now. It may change rows, so read them afterwards. */
  recount(run: RunNamespace): Promise<Omit<Tallies, "stale" | "superseded">>;
  /** Some ids, none of those given, that earlier parts of a run name and whose records they would change so. */
  sample(
    run: RunNamespace,
    kind: Exclude<keyof Tallies, "superseded">,
    ids: string[],
    limit: number,
  ): Promise<string[]>;
  /** Ends runs: maintenance sweeps what they staged, and only the rows that tell their fate stay. */
  end(runIds: string[], state: EndState): Promise<void>;
}

/** One transaction over one store, under its lock: a sync's, or one that brings its index up to date. */
export interface LedgerTransaction {
  readonly index: IndexTransaction;
  readonly runs: RefreshRuns;
  /** False if the store does not exist or was deleted. */
  storeExists(): Promise<boolean>;
  /** The store's next revision; each committed sync has one, without gaps. */
  nextRevision(): Promise<number>;
  /** Reads where namespaces stand; a new one comes back empty. The store lock keeps other syncs from changing them. */
  readNamespaces(names: string[]): Promise<NamespaceState[]>;
  /** The rows of the ids that matter: current ones, tombstones included, and those that open runs have staged. */
  rowsOf(of: NamespaceIds[]): Promise<RecordRow[]>;
  /** The live records of a namespace that were decided after a moment. */
  decidedAfter(namespace: NamespaceState, ns: bigint): Promise<RecordSum>;
  /** Some ids of live records that a run would clear: that neither its rows nor the ids name. */
  clearedSample(
    namespace: NamespaceState,
    run: RunNamespace,
    ids: string[],
    limit: number,
  ): Promise<string[]>;
  /** What was answered under an Idempotency-Key since a moment (ms since 1970), and to which body. */
  findAnswer(
    connectorId: string,
    key: string,
    since: number,
  ): Promise<{ body: string; answer: string } | undefined>;
  saveAnswer(connectorId: string, key: string, body: string, answer: string, now: number): Promise<void>;
  saveSync(sync: SyncRow): Promise<void>;
  write(writes: LedgerWrites, now: number): Promise<void>;
}

/** Up to when things are forgotten, ms since 1970. */
export interface Forgetting {
  /** Tombstones that arrived before. */
  tombstones: number;
  /** Unfinished runs whose last part arrived before. */
  openRuns: number;
  /** Answers under an Idempotency-Key. */
  answers: number;
  /** Syncs, and runs that are over. */
  history: number;
}

export interface RateWindow {
  allowed: boolean;
  /** Requests left in the window after this one. */
  remaining: number;
  /** Milliseconds until the oldest request leaves the window. */
  resetMs: number;
}

export interface Storage {
  /** What an operator should know of the database, such as a setting that makes it lose data; empty if all is well. */
  readonly warnings: string[];
  /** The tables with rows of vector stores, in the order in which those of a store that is to go are removed. */
  readonly storeTables: StoreTable[];
  /**
   * One read-write transaction over organizations, stores, connectors and keys, one after the other.
   * @param storeId a store whose syncs wait until it is over
   */
  write<T>(work: (sql: Sql) => Promise<T>, storeId?: string): Promise<T>;
  /** Reads from one snapshot. */
  read<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** The same, where the work may pause between its statements, as when it writes to a slow pipe. */
  readSlowly<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** One durable transaction over a store's ledger: when it resolves, it is on disk. */
  ledger<T>(storeId: string, work: (tx: LedgerTransaction) => Promise<T>): Promise<T>;
  /** Which of the ids are live records, from one committed snapshot. */
  liveIds(storeId: string, namespace: string, ids: string[]): Promise<Set<string>>;
  /** Counts a request against a sliding window that all processes share. */
  countRequest(window: string, limit: number, windowMs: number, now: number): Promise<RateWindow>;
  readonly index: IndexStorage;
  /** Removes some rows that no reader sees any more. */
  sweep(now: number): Promise<MaintenanceStep>;
  /** Forgets some of what is older than these moments, ms since 1970. */
  forget(before: Forgetting): Promise<MaintenanceStep>;
  /** Live records of all stores. */
  countRecords(): Promise<number>;
  close(): Promise<void>;
}
