import { type Static, Type } from "typebox";
import { anyObject } from "./any-object.ts";
import { ConnectorId, Namespace, RecordId } from "./identifiers.ts";
import { StagedFile, SyncChanges, SyncMode, SyncResults, SyncStatus } from "./sync.ts";

const Time = Type.String({ format: "date-time" });
const count = () => Type.Integer({ minimum: 0 });

/** How far the index is behind the records. */
export const Indexing = Type.Object({
  pending: Type.Integer({
    minimum: 0,
    description:
      "Contents that wait for the indexer. Until then, search finds their records by earlier content. Counted up to 100,000.",
  }),
  failed: Type.Integer({
    minimum: 0,
    description:
      "Contents that the indexer failed on several times. It tries them again when an operator asks for it.",
  }),
  oldest_pending_at: Type.Union([Time, Type.Null()], {
    description: "Since when the oldest pending content waits. Null: none waits.",
  }),
});
export type Indexing = Static<typeof Indexing>;

export const NamespaceObject = Type.Object({
  object: Type.Literal("namespace"),
  namespace: Namespace,
  records: count(),
  last_sync_at: Time,
  last_refresh_at: Type.Union([Time, Type.Null()], {
    description: "The `sync_timestamp` of its last full refresh.",
  }),
  indexing: Indexing,
  digest: Type.String({ description: "Sum of the records' hashes modulo 2^256, 64 hexadecimal digits." }),
});
export type NamespaceObject = Static<typeof NamespaceObject>;

export const RecordObject = Type.Object({
  object: Type.Literal("record"),
  namespace: Namespace,
  id: RecordId,
  data: anyObject(),
  source_system: Type.Optional(Type.String()),
  file: Type.Optional(StagedFile),
  created_at: Type.Optional(Type.String()),
  updated_at: Type.Optional(Type.String()),
  synced_at: Type.String({ format: "date-time", description: "When this content arrived." }),
  indexing: Type.Object({
    status: Type.Enum(["indexed", "pending", "failed"], {
      description:
        "`indexed`: search finds the record by this content. `pending`: the indexer has not reached it. `failed`: the indexer failed on it, and tries again when an operator asks for it. Until it is indexed, search finds the record by its earlier content, if any.",
    }),
    error: Type.Optional(Type.String({ description: "Why the last try failed, if one failed." })),
  }),
});
export type RecordObject = Static<typeof RecordObject>;

export const RefreshObject = Type.Object({
  object: Type.Literal("refresh"),
  id: Type.String(),
  connector_id: ConnectorId,
  sync_timestamp: Time,
  refresh_id: Type.Union([Type.String(), Type.Null()]),
  namespaces: Type.Array(Namespace),
  operations: count(),
  batches: count(),
  started_at: Time,
  last_part_at: Time,
});
export type RefreshObject = Static<typeof RefreshObject>;

export const SyncObject = Type.Object({
  object: Type.Literal("sync"),
  id: Type.String(),
  connector_id: ConnectorId,
  sync_mode: SyncMode,
  sync_timestamp: Time,
  refresh_id: Type.Union([Type.String(), Type.Null()]),
  status: SyncStatus,
  received_at: Time,
  processing_time_ms: count(),
  trace_id: Type.String(),
  results: SyncResults,
  by_namespace: Type.Record(Type.String(), SyncResults),
  changes: SyncChanges,
  indexing: Type.Object(Indexing.properties, {
    description: "The index up to this sync. If nothing is pending, search reflects the sync.",
  }),
});
export type SyncObject = Static<typeof SyncObject>;
