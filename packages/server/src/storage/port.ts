/**
 * The seam between what Tidemark decides and where it is kept. An engine implements these interfaces and passes
 * `test/conformance/`; nothing outside `storage/` knows which engine runs.
 */

export type SqlValue = string | number | bigint | null;
export type SqlRow = Record<string, SqlValue>;

/** Runs the plain statements that every engine understands alike, with `$1`-style placeholders. */
export interface Sql {
  all(text: string, values?: SqlValue[]): Promise<SqlRow[]>;
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
  generation: number;
  /** The sync that decided the record; null: the full refresh of its generation did. */
  decidedAt: bigint | null;
  /** The version of its content; null: the row is a tombstone. */
  version: number | null;
  /** SHA-256 of id and content in hex; null for a tombstone. */
  hash: string | null;
  /** Of the operation's text that last said this content; null if it is not known. */
  fingerprint: string | null;
  /** When this content, or the tombstone, arrived: ms since 1970. */
  writtenAt: number;
}

export interface Content {
  version: number;
  /** Canonical JSON. */
  content: string;
}

/** A content that came or went, to be looked at by the index. */
export interface DirtyMark {
  version: number;
  namespace: string;
  id: string;
}

/** What a sync writes: each list is one set-based step. */
export interface LedgerWrites {
  namespaces: NamespaceState[];
  /** Inserted, or put in the place of the row with the same namespace, id and generation. */
  rows: RecordRow[];
  dropRows: Pick<RecordRow, "namespace" | "id" | "generation">[];
  contents: Content[];
  dropContents: number[];
  dirty: DirtyMark[];
}

/** One sync's transaction over one store. */
export interface LedgerTransaction {
  /** False if the store does not exist or was deleted. */
  storeExists(): Promise<boolean>;
  /** The store's next revision; each committed sync has one, without gaps. */
  nextRevision(): Promise<number>;
  /** Locks the namespaces against other syncs and reads them; a namespace that is new comes back empty. */
  lockNamespaces(names: string[]): Promise<NamespaceState[]>;
  /** The current row of each id that has one, tombstones included. */
  currentRows(namespace: NamespaceState, ids: string[]): Promise<RecordRow[]>;
  /** The live records of a namespace that were decided after a moment: how many, and the sum of their hashes. */
  decidedAfter(namespace: NamespaceState, ns: bigint): Promise<{ records: number; digest: bigint }>;
  write(writes: LedgerWrites, now: number): Promise<void>;
}

/** How much a step of background work did: `more` says that another one is worthwhile at once. */
export interface HousekeepingStep {
  rows: number;
  more: boolean;
}

export interface RateWindow {
  allowed: boolean;
  /** Requests left in the window after this one. */
  remaining: number;
  /** Milliseconds until the oldest request leaves the window. */
  resetMs: number;
}

export interface Storage {
  /** One read-write transaction over organizations, stores, connectors and keys. */
  write<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** Reads from one snapshot. */
  read<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** One durable transaction over a store's ledger: when it resolves, it is on disk. */
  ledger<T>(storeId: string, work: (tx: LedgerTransaction) => Promise<T>): Promise<T>;
  /** Which of the ids are live records, from one committed snapshot. */
  liveIds(storeId: string, namespace: string, ids: string[]): Promise<Set<string>>;
  /** Counts a request against a sliding window that all processes share. */
  countRequest(window: string, limit: number, windowMs: number, now: number): Promise<RateWindow>;
  /** Removes some rows that no reader sees any more. */
  sweep(now: number): Promise<HousekeepingStep>;
  /** Forgets some tombstones that arrived before a moment (ms since 1970). */
  purgeTombstones(before: number): Promise<HousekeepingStep>;
  /** Live records of all stores. */
  countRecords(): Promise<number>;
  close(): Promise<void>;
}
