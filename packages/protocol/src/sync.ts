import { type Static, Type } from "typebox";
import { anyObject } from "./any-object.ts";
import { Namespace, OrganizationId, RecordId, VectorStoreId } from "./identifiers.ts";
import { LIMITS } from "./limits.ts";

const SourceTime = (event: string) =>
  Type.String({
    format: "date-time",
    description: `The source's own time of ${event}, ISO 8601. Stored as sent.`,
  });

export const StagedFile = Type.Object(
  {
    file_url: Type.String({ maxLength: LIMITS.fileUrlCodePoints }),
    file_relative_path: Type.String({ maxLength: LIMITS.fileUrlCodePoints }),
    source_file_url: Type.Optional(Type.String({ maxLength: LIMITS.fileUrlCodePoints })),
  },
  { additionalProperties: false, description: "Metadata of a staged file. Stored and never fetched." },
);

export const SyncOperation = Type.Object(
  {
    action: Type.Enum(["upsert", "delete"]),
    id: RecordId,
    namespace: Namespace,
    data: Type.Optional(
      anyObject({
        description:
          "The record, free-form; replaces the earlier `data`. Absent means `{}`. A delete ignores it.",
      }),
    ),
    source_system: Type.Optional(
      Type.String({ maxLength: LIMITS.identifierCodePoints, description: "`airbyte`, `fivetran`, …" }),
    ),
    file: Type.Optional(StagedFile),
    created_at: Type.Optional(SourceTime("creation")),
    updated_at: Type.Optional(SourceTime("the last change")),
  },
  { additionalProperties: false },
);
export type SyncOperation = Static<typeof SyncOperation>;

export const SyncMode = Type.Enum(["incremental", "full_refresh"], {
  description:
    "`incremental` applies only these operations. `full_refresh` replaces the affected namespaces in one atomic step.",
});
export type SyncMode = Static<typeof SyncMode>;

export const SyncRequest = Type.Object(
  {
    organization_id: OrganizationId,
    vector_store_id: VectorStoreId,
    sync_mode: SyncMode,
    sync_timestamp: Type.String({
      format: "date-time",
      description:
        "When the sync run started at the source: ISO 8601 with a zone, up to 9 fractional digits. For each record, the newer timestamp wins.",
    }),
    operations: Type.Array(SyncOperation, {
      maxItems: LIMITS.batchOperations,
      description: "0 to 5000 operations, applied atomically: all of them or none.",
    }),
    namespaces: Type.Optional(
      Type.Array(Namespace, {
        maxItems: LIMITS.syncNamespaces,
        description:
          "`full_refresh` only: namespaces to refresh even if no operation names them. An empty source empties its namespace this way.",
      }),
    ),
    last_batch: Type.Optional(
      Type.Boolean({
        default: true,
        description: "`full_refresh` only: `false` stages this part of a refresh that has several requests.",
      }),
    ),
    refresh_id: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: LIMITS.refreshIdCodePoints,
        description:
          "`full_refresh` only: distinguishes staged runs of one connector that have the same `sync_timestamp`.",
      }),
    ),
    expected_operations: Type.Optional(
      Type.Integer({
        minimum: 0,
        description:
          "Only for the last batch of a `full_refresh`: how many operations the whole run sent. If the parts do not add up to it: 409.",
      }),
    ),
    removal_limit: Type.Optional(
      Type.Union(
        [Type.Integer({ minimum: 0 }), Type.String({ pattern: "^(100|[1-9]?[0-9])(\\.[0-9]{1,6})?%$" })],
        {
          description:
            "A number, or a percentage such as `20%`. If the sync would remove or clear more of a namespace's records, it is rejected (409) and changes nothing.",
        },
      ),
    ),
    dry_run: Type.Optional(
      Type.Boolean({ default: false, description: "Report what would change, without changing it." }),
    ),
    on_error: Type.Optional(
      Type.Enum(["abort", "continue"], {
        default: "abort",
        description:
          "`continue` reports invalid operations, leaves them out, and applies the rest atomically. `abort` rejects the whole request.",
      }),
    ),
  },
  { additionalProperties: false },
);
export type SyncRequest = Static<typeof SyncRequest>;

const count = (description: string) => Type.Integer({ minimum: 0, description });

export const SyncResults = Type.Object({
  upserted: count("Upserts of this request."),
  deleted: count("Deletes of this request."),
  failed: count("Operations left out."),
});
export type SyncResults = Static<typeof SyncResults>;

export const SyncChanges = Type.Object({
  created: count("Upserts of records that did not exist."),
  updated: count("Upserts that changed a record's content."),
  unchanged: count("Upserts that did not change a record's content."),
  removed: count("Deletes of existing records."),
  absent: count("Deletes of records that did not exist."),
  stale: count("Operations on records that a newer sync already decided."),
  superseded: count("Operations on records that a later operation of the request or of the run names again."),
  cleared: count("Records that a full refresh removed because it does not name them."),
});
export type SyncChanges = Static<typeof SyncChanges>;

export const OperationError = Type.Object({
  index: count("Position in `operations`."),
  id: Type.Union([Type.String(), Type.Null()]),
  namespace: Type.Union([Type.String(), Type.Null()]),
  code: Type.String(),
  message: Type.String(),
});
export type OperationError = Static<typeof OperationError>;

export const RefreshProgress = Type.Object({
  refresh_id: Type.Union([Type.String(), Type.Null()]),
  operations: count("Operations of the run that arrived so far."),
  batches: count("Parts of the run that arrived so far."),
});
export type RefreshProgress = Static<typeof RefreshProgress>;

/** Kinds of change for which a dry run returns sample ids. */
export const SAMPLED = ["created", "updated", "unchanged", "removed", "absent", "stale", "cleared"] as const;
export type Sampled = (typeof SAMPLED)[number];

const Ids = Type.Array(Type.String(), { maxItems: LIMITS.sampleIds });

export const SyncStatus = Type.Enum(["success", "partial", "staged", "planned"]);
export type SyncStatus = Static<typeof SyncStatus>;

export const SyncResponse = Type.Object({
  status: SyncStatus,
  sync_id: Type.Union([Type.String(), Type.Null()], { description: "Null for a dry run." }),
  processed: count("Operations of this request: upserted + deleted + failed."),
  results: SyncResults,
  by_namespace: Type.Record(Type.String(), SyncResults, {
    description: "The results of each affected namespace.",
  }),
  processing_time_ms: count("Milliseconds that the server worked on the request."),
  changes: SyncChanges,
  errors: Type.Optional(Type.Array(OperationError, { maxItems: LIMITS.listedErrors })),
  total_errors: Type.Optional(count("Operations that were left out.")),
  refresh: Type.Optional(RefreshProgress),
  digests: Type.Optional(
    Type.Record(Type.String(), Type.String(), { description: "The digest of each affected namespace." }),
  ),
  samples: Type.Optional(
    Type.Object({
      created: Ids,
      updated: Ids,
      unchanged: Ids,
      removed: Ids,
      absent: Ids,
      stale: Ids,
      cleared: Ids,
    }),
  ),
  warnings: Type.Optional(Type.Array(Type.String())),
});
export type SyncResponse = Static<typeof SyncResponse>;
