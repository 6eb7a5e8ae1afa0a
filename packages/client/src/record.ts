import type { SyncOperation } from "@tidemark/protocol/sync";

/**
 * A record of the source: an upsert, or a delete with `action: "delete"`. Without a `namespace`, it is in the sync's.
 */
export type SourceRecord = Omit<SyncOperation, "action" | "namespace"> & {
  action?: SyncOperation["action"];
  namespace?: string;
};

export type SourceRecords = AsyncIterable<SourceRecord> | Iterable<SourceRecord>;
