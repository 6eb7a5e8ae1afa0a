import type { OperationError, SyncChanges, SyncMode } from "@tidemark/protocol/sync";
import type { BatchSize } from "./batches.ts";
import type { CallOptions } from "./connection.ts";
import type { RemovalLimit } from "./removal-limit.ts";

/** What a sync run is known by. The same run may be sent again; see {@link SyncAllOptions.run}. */
export interface Run {
  /** When reading the source began: ISO 8601 with a zone. The newer run wins, record by record. */
  sync_timestamp: string;
  refresh_id: string;
}

/** A run that begins now. Keep it (it is plain JSON) to go on after a crash. */
export const newRun = (): Run => ({
  sync_timestamp: new Date().toISOString(),
  refresh_id: crypto.randomUUID(),
});

export interface SyncAllOptions extends CallOptions, BatchSize {
  /**
   * `incremental`: the records are what changed, and those with `action: "delete"` are deleted; each batch is applied
   * when it arrives. `full_refresh`: the records are all that there is; they replace their namespaces in one instant at
   * the end.
   */
  mode: SyncMode;
  /** Of the records that name none. A full refresh empties it if no record comes. */
  namespace?: string | undefined;
  /** For a full refresh of several: those that are refreshed, and so emptied, even if no record names them. */
  namespaces?: readonly string[] | undefined;
  /**
   * Incremental: the records are all that there is, so whatever else the namespaces hold is deleted at the end. Needs
   * the ids of all records in memory and, unless the digests say that nothing is left over, reads the namespaces, 100
   * records a request: a full refresh, which does so anyway, costs less, and is one instant.
   */
  deleteMissing?: boolean | undefined;
  /**
   * How many records a namespace may lose: a number, a percentage such as `"20%"`, or false for any. More is refused
   * with REMOVAL_LIMIT_EXCEEDED, and nothing is removed. Default, for a full refresh and for `deleteMissing`: 50 % of a
   * namespace that has more than 100 records. Of an incremental sync's own deletes, a limit holds for each batch.
   */
  removalLimit?: RemovalLimit | undefined;
  /**
   * What the run is known by; default: a new one. To go on after a crash, give the same run, the same records in the
   * same order and the same batch sizes: what had arrived counts once, and what was answered is answered again.
   */
  run?: Run | undefined;
  /** `continue`: records that are invalid by themselves are left out and reported in `errors`. Default: `abort`. */
  onError?: "abort" | "continue" | undefined;
  /** Told at the beginning and after every answer. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

export interface Progress {
  phase: "sending" | "applying" | "comparing" | "deleting" | "done";
  run: Run;
  /** Records that were acknowledged, deletions included. */
  operations: number;
  /** Requests that were answered. */
  requests: number;
}

/** The digest of a namespace, computed from the records that were given, and the server's after the sync. */
export interface DigestPair {
  source: string;
  /** undefined if the server did not say: nothing was sent of this namespace. */
  server: string | undefined;
}

export interface SyncAllResult {
  run: Run;
  /**
   * The last sync of the run: searches whose `after_sync` it is find all of the run. null if no request was sent, and
   * of a plan.
   */
  sync_id: string | null;
  /** Records that were sent, deletions included. */
  operations: number;
  requests: number;
  /** What became of the records. */
  changes: SyncChanges;
  /** Records that `onError: "continue"` left out. */
  failed: number;
  /** The first 100 of them; `index` counts the records of the whole run. */
  errors: OperationError[];
  warnings: string[];
  digests: Record<string, DigestPair>;
  /**
   * true: every namespace holds exactly the records that were given. false: one does not, so something else wrote it
   * meanwhile. undefined: it cannot be told, because the digests differ and the sync explains it: an incremental one
   * without `deleteMissing` may hold more; records that came twice, failed, or were decided by a newer sync differ as
   * they should.
   */
  inSync: boolean | undefined;
}
