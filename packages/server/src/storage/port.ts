/**
 * The storage port: the interfaces between Tidemark's logic and its database. An engine implements them and passes
 * `test/conformance/`; nothing outside `storage/` knows which engine runs.
 */

import type { MaintenanceStep } from "./background-step.ts";
import type { IndexStorage, IndexTransaction, RecordVersion } from "./index-port.ts";
import type { StoreTable } from "./store-tables.ts";

export type SqlValue = string | number | bigint | null;
export type SqlRow = Record<string, SqlValue>;

/** Runs statements in the SQL that all engines share, with `$1`-style placeholders. */
export interface Sql {
  all(text: string, values?: SqlValue[]): Promise<SqlRow[]>;
}

/** Ids of one namespace. */
export interface NamespaceIds {
  namespace: string;
  ids: string[];
}

/** The state of a namespace. Times are sync timestamps in nanoseconds since 1970. */
export interface NamespaceState {
  namespace: string;
  /** The generation that readers see. */
  generation: number;
  /** The first unused generation. */
  nextGeneration: number;
  /** The last full refresh, which is the floor for every record of the namespace; 0 if there was none. */
  refreshedAt: bigint;
  /** No sync newer than this decided a record. */
  newestAt: bigint;
  /** The newest of the purged tombstones; 0 if there was none. */
  purgedAt: bigint;
  /** Live records, and the sum of their hashes modulo 2^256. */
  records: number;
  digest: bigint;
}

/** A row of the table `records`: one state of a record. */
export interface RecordRow {
  namespace: string;
  id: string;
  /** The generation that the row was written for. */
  generation: number;
  /** Generations of later refreshes that the row is carried into. Numbers of finished refreshes mean nothing. */
  carriedIn: number | null;
  alsoCarriedIn: number | null;
  /** The sync that decided the record; null: the full refresh of the row's generation. */
  decidedAt: bigint | null;
  /** The version of the record's content; null: the row is a tombstone. */
  version: number | null;
  /** SHA-256 of id and content in hex; null for a tombstone. */
  hash: string | null;
  /** Fingerprint of the last operation with this content; null if unknown. */
  fingerprint: string | null;
  /** When this content or the tombstone arrived, ms since 1970. */
  writtenAt: number;
  /** The version that the row is found by: an earlier one until this one is indexed; null: none yet. */
  indexed: number | null;
}

export interface Content {
  version: number;
  /** Canonical JSON. */
  content: string;
}

/** Unchanged rows of one namespace whose `decided_at` moves forward. */
export interface Touch {
  namespace: string;
  ids: string[];
  generation: number;
  decidedAt: bigint;
}

/** Rows of one namespace that a refresh carries into its generation. */
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

/** What the operations of an open run would do if it were applied now, in counts. */
export interface Tallies {
  created: number;
  updated: number;
  unchanged: number;
  removed: number;
  absent: number;
  stale: number;
  superseded: number;
}

/** `ended`: by a newer refresh. `expired`: by age or abort. */
export type RunState = "open" | "applied" | "ended" | "expired";

/** The states of a run that is over. */
export type EndState = Exclude<RunState, "open">;

/** A staged full refresh. */
export interface RefreshRun {
  runId: string;
  connectorId: string;
  timestamp: bigint;
  /** '' if the caller gave none. */
  refreshId: string;
  state: RunState;
  /** Received operations, including failed ones. A repeated part counts once, here and below. */
  operations: number;
  failed: number;
  /** Received parts. */
  batches: number;
  startedAt: number;
  lastPartAt: number;
  /** The hash of an applied run's last batch, and its answer. */
  lastPart: string | null;
  answer: string | null;
}

/** What an open run has staged for one namespace. */
export interface RunNamespace {
  runId: string;
  namespace: string;
  timestamp: bigint;
  /** The generation of the run's rows. */
  generation: number;
  /** The run's rows with content. */
  upserts: RecordSum;
  /** Live records of the namespace that a newer sync decided: they survive the run. */
  newer: RecordSum;
  tallies: Tallies;
  /** True: another refresh has flipped the namespace since, so the tallies must be counted again. */
  recount: boolean;
}

/** A record that an open run names without a staged row. */
export interface RunException {
  runId: string;
  namespace: string;
  id: string;
  kind: "failed" | "stale";
}

/** An acknowledged sync in the history. */
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

/** Everything that a sync writes; each list is one set-based step. */
export interface LedgerWrites {
  namespaces: NamespaceState[];
  /** Inserted, or replacing the row with the same namespace, id and generation. */
  rows: RecordRow[];
  touch: Touch[];
  carry: Carry[];
  dropRows: Pick<RecordRow, "namespace" | "id" | "generation">[];
  contents: Content[];
  dropContents: number[];
  /** Versions for the index queue: new contents, and versions that no row is found by any longer. */
  enqueue: RecordVersion[];
  /** Namespaces with dead rows, to be swept from the beginning. */
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
  /** A connector's run by the values that all its requests share. */
  find(connectorId: string, timestamp: bigint, refreshId: string): Promise<RefreshRun | undefined>;
  get(runId: string): Promise<RefreshRun | undefined>;
  /** The namespaces that a run has staged rows in. */
  namespacesOf(runId: string): Promise<string[]>;
  /** What the open runs have staged in some namespaces. */
  openIn(namespaces: string[]): Promise<RunNamespace[]>;
  hasPart(runId: string, part: string): Promise<boolean>;
  /** The records that failed operations of a run name. */
  failedRecords(runId: string): Promise<Pick<RecordRow, "namespace" | "id">[]>;
  /** Which of the ids are stale in a run, because a newer sync decided them. */
  staleIds(runId: string, namespace: string, ids: string[]): Promise<string[]>;
  /** Counts again what the rows of a run would do now. It may change rows, so callers read them afterwards. */
  recount(run: RunNamespace): Promise<Omit<Tallies, "stale" | "superseded">>;
  /** Some ids, except `ids`, whose records the run's earlier parts would change in this way. */
  sample(
    run: RunNamespace,
    kind: Exclude<keyof Tallies, "superseded">,
    ids: string[],
    limit: number,
  ): Promise<string[]>;
  /** Ends runs: only their own rows stay, and maintenance sweeps what they staged. */
  end(runIds: string[], state: EndState): Promise<void>;
}

/** One transaction on one store, under the store lock: a sync, or a change of its index. */
export interface LedgerTransaction {
  readonly index: IndexTransaction;
  readonly runs: RefreshRuns;
  /** False if the store does not exist or was deleted. */
  storeExists(): Promise<boolean>;
  /** Takes the store's next revision; each committed sync has one, without gaps. */
  nextRevision(): Promise<number>;
  /** The states of namespaces; a new one is empty. The store lock keeps other syncs from changing them. */
  readNamespaces(names: string[]): Promise<NamespaceState[]>;
  /** The rows of the ids that are current, tombstones included, or staged by an open run. */
  rowsOf(keys: NamespaceIds[]): Promise<RecordRow[]>;
  /** The live records of a namespace that a sync after `ns` decided. */
  decidedAfter(namespace: NamespaceState, ns: bigint): Promise<RecordSum>;
  /** Some ids of live records that a run would clear, because neither its rows nor `ids` name them. */
  clearedSample(
    namespace: NamespaceState,
    run: RunNamespace,
    ids: string[],
    limit: number,
  ): Promise<string[]>;
  /** The answer that was saved under an Idempotency-Key since `since` (ms since 1970), and the body's hash. */
  findAnswer(
    connectorId: string,
    key: string,
    since: number,
  ): Promise<{ body: string; answer: string } | undefined>;
  saveAnswer(connectorId: string, key: string, body: string, answer: string, now: number): Promise<void>;
  saveSync(sync: SyncRow): Promise<void>;
  write(writes: LedgerWrites, now: number): Promise<void>;
}

/** Before which times things are forgotten, ms since 1970. */
export interface Forgetting {
  /** Tombstones, by when they arrived. */
  tombstones: number;
  /** Open runs, by when their last part arrived. */
  openRuns: number;
  /** Answers that were saved under an Idempotency-Key. */
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
  /** Problems of the database that an operator should know, such as settings that risk data. */
  readonly warnings: string[];
  /** The tables with rows of vector stores, in the order in which a deleted store's rows are removed. */
  readonly storeTables: StoreTable[];
  /**
   * Runs a read-write transaction on organizations, stores, connectors and keys; only one runs at a time.
   * @param storeId also takes this store's lock
   */
  write<T>(work: (sql: Sql) => Promise<T>, storeId?: string): Promise<T>;
  /** Reads from one snapshot. */
  read<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** As `read`, for work that may pause between its statements, as an export to a slow pipe does. */
  readSlowly<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** Runs a durable transaction on a store's ledger, under the store lock: when it resolves, it is on disk. */
  ledger<T>(storeId: string, work: (tx: LedgerTransaction) => Promise<T>): Promise<T>;
  /** Which of the ids are live records, from one snapshot. */
  liveIds(storeId: string, namespace: string, ids: string[]): Promise<Set<string>>;
  /** Counts a request against a sliding window that all processes share. */
  countRequest(window: string, limit: number, windowMs: number, now: number): Promise<RateWindow>;
  readonly index: IndexStorage;
  /** Removes some rows that no reader sees any longer. */
  sweep(now: number): Promise<MaintenanceStep>;
  /** Forgets some of what is older than these times. */
  forget(before: Forgetting): Promise<MaintenanceStep>;
  /** The number of live records of all stores. */
  countRecords(): Promise<number>;
  close(): Promise<void>;
}
