import type { SyncOperation } from "@tidemark/protocol/sync";

/**
 * A record of the source: what an upsert has, or a delete (`action: "delete"`). Without a `namespace` of its own it is
 * of the sync's.
 */
export type SourceRecord = Omit<SyncOperation, "action" | "namespace"> & {
  action?: SyncOperation["action"];
  namespace?: string;
};

export type SourceRecords = AsyncIterable<SourceRecord> | Iterable<SourceRecord>;
