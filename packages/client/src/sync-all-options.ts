import type { OperationError, SyncChanges, SyncMode } from "@tidemark/protocol/sync";
import type { BatchSize } from "./batches.ts";
import type { CallOptions } from "./connection.ts";
import type { RemovalLimit } from "./removal-limit.ts";

/** Identifies a sync run, which may be sent again; see {@link SyncAllOptions.run}. */
export interface Run {
  /** When reading the source began: ISO 8601 with a zone. For each record, the newer run wins. */
  sync_timestamp: string;
  refresh_id: string;
}

/** Makes a run that begins now. Save it (it is plain JSON) to resume after a crash. */
export const newRun = (): Run => ({
  sync_timestamp: new Date().toISOString(),
  refresh_id: crypto.randomUUID(),
});

export interface SyncAllOptions extends CallOptions, BatchSize {
  /**
   * `incremental`: the records are changes, including deletes with `action: "delete"`; each batch is applied when it
   * arrives. `full_refresh`: the records are the whole content of their namespaces, and replace it at the end,
   * atomically.
   */
  mode: SyncMode;
  /** The namespace of records that name none. A full refresh without records empties it. */
  namespace?: string | undefined;
  /** Namespaces that a full refresh replaces, and so empties, even if no record names them. */
  namespaces?: readonly string[] | undefined;
  /**
   * For `incremental`: the records are the whole content of their namespaces, so all others are deleted at the end.
   * This holds all ids in memory and, if the digests differ, lists the namespaces with 100 records per request. A full
   * refresh is cheaper and atomic.
   */
  deleteMissing?: boolean | undefined;
  /**
   * How many records a namespace may lose: a number, a percentage such as `"20%"`, or false for any number. A sync that
   * would remove more is rejected with REMOVAL_LIMIT_EXCEEDED, and removes nothing. Default for a full refresh and for
   * `deleteMissing`: 50 % of a namespace with more than 100 records. For the deletes of an incremental sync, the limit
   * holds for each batch.
   */
  removalLimit?: RemovalLimit | undefined;
  /**
   * The run; default: a new one. To resume after a crash, give the same run, the same records in the same order and the
   * same batch sizes: the server does not apply a request twice, and repeats the answers that it gave.
   */
  run?: Run | undefined;
  /** `continue` leaves invalid records out and reports them in `errors`. Default: `abort`. */
  onError?: "abort" | "continue" | undefined;
  /** Called at the beginning and after every answer. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

export interface Progress {
  phase: "sending" | "applying" | "comparing" | "deleting" | "done";
  run: Run;
  /** Acknowledged records, including deletes. */
  operations: number;
  /** Answered requests. */
  requests: number;
}

/** A namespace's digest as computed from the given records, and the server's after the sync. */
export interface DigestPair {
  source: string;
  /** undefined if no answer had it, because nothing of this namespace was sent. */
  server: string | undefined;
}

export interface SyncAllResult {
  run: Run;
  /**
   * The run's last sync: a search with this `after_sync` reflects the whole run. null for a plan, or if no request was
   * sent.
   */
  sync_id: string | null;
  /** Sent records, including deletes. */
  operations: number;
  requests: number;
  /** How many records were created, updated and so on. */
  changes: SyncChanges;
  /** Records that `onError: "continue"` left out. */
  failed: number;
  /** The first 100 failures; `index` counts the records of the whole run. */
  errors: OperationError[];
  warnings: string[];
  digests: Record<string, DigestPair>;
  /**
   * true: every namespace holds exactly the given records. false: one does not, because another writer changed it
   * meanwhile. undefined: the digests differ, and the sync itself may be the reason: an incremental sync without
   * `deleteMissing` leaves other records, and some records were repeated, failed or were decided by a newer sync.
   */
  inSync: boolean | undefined;
}
