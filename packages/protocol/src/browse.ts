import { type Static, Type } from "typebox";
import { anyObject } from "./any-object.ts";
import { ConnectorId, Namespace, RecordId } from "./identifiers.ts";
import { StagedFile, SyncChanges, SyncMode, SyncResults, SyncStatus } from "./sync.ts";

const Time = Type.String({ format: "date-time" });
const count = () => Type.Integer({ minimum: 0 });

/** How far the index is behind what was written. */
export const Indexing = Type.Object({
  pending: Type.Integer({
    minimum: 0,
    description:
      "Contents that wait for the index: search finds their records by what they said before. Counted up to 100,000.",
  }),
  failed: Type.Integer({
    minimum: 0,
    description: "Contents that the index failed on in several tries, until an operator asks for another.",
  }),
  oldest_pending_at: Type.Union([Time, Type.Null()], {
    description:
      "Since when the oldest of the pending waits: how far the index lags behind. Null: none waits.",
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
        "`indexed`: search finds it by this content. `pending`: not yet. `failed`: the index failed on it, until an operator asks for another try. Until then search finds it by its content before, if it had one.",
    }),
    error: Type.Optional(Type.String({ description: "Why the last try failed, where one did." })),
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
    description: "Of everything up to this sync: with nothing pending, search reflects it.",
  }),
});
export type SyncObject = Static<typeof SyncObject>;
