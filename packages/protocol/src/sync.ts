import { type Static, Type } from "typebox";
import { anyObject } from "./any-object.ts";
import { Namespace, OrganizationId, RecordId, VectorStoreId } from "./identifiers.ts";
import { LIMITS } from "./limits.ts";

const SourceTime = (what: string) =>
  Type.String({
    format: "date-time",
    description: `The source's own time of ${what}, ISO 8601. Kept as sent.`,
  });

export const StagedFile = Type.Object(
  {
    file_url: Type.String({ maxLength: LIMITS.fileUrlCodePoints }),
    file_relative_path: Type.String({ maxLength: LIMITS.fileUrlCodePoints }),
    source_file_url: Type.Optional(Type.String({ maxLength: LIMITS.fileUrlCodePoints })),
  },
  { additionalProperties: false, description: "Metadata of a staged file; kept, never fetched." },
);

export const SyncOperation = Type.Object(
  {
    action: Type.Enum(["upsert", "delete"]),
    id: RecordId,
    namespace: Namespace,
    data: Type.Optional(
      anyObject({
        description:
          "The record, free-form; replaces what was there. Absent means `{}`. Ignored by a delete.",
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
    "`incremental` applies just these operations; `full_refresh` clears the affected namespaces, then inserts, in one atomic step.",
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
        "When the sync run was started at the source: ISO 8601 with a zone, up to 9 fractional digits. The newer one wins, per record.",
    }),
    operations: Type.Array(SyncOperation, {
      maxItems: LIMITS.batchOperations,
      description: "0 to 5000 operations, applied atomically: all of them or none.",
    }),
    namespaces: Type.Optional(
      Type.Array(Namespace, {
        maxItems: LIMITS.syncNamespaces,
        description:
          "`full_refresh` only: namespaces that are refreshed even if no operation names them, so that a source that is now empty is emptied here.",
      }),
    ),
    last_batch: Type.Optional(
      Type.Boolean({
        default: true,
        description:
          "`full_refresh` only: `false` stages this part of a refresh that needs several requests.",
      }),
    ),
    refresh_id: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: LIMITS.refreshIdCodePoints,
        description:
          "`full_refresh` only: tells apart two staged runs of one connector with the same `sync_timestamp`.",
      }),
    ),
    expected_operations: Type.Optional(
      Type.Integer({
        minimum: 0,
        description:
          "`full_refresh`, last batch only: how many operations the whole run sent; 409 if the parts that arrived don't add up.",
      }),
    ),
    removal_limit: Type.Optional(
      Type.Union(
        [Type.Integer({ minimum: 0 }), Type.String({ pattern: "^(100|[1-9]?[0-9])(\\.[0-9]{1,6})?%$" })],
        {
          description:
            "A number, or a percentage such as `20%`: refuse (409, nothing changed) if more than this of a namespace's records would be removed or cleared.",
        },
      ),
    ),
    dry_run: Type.Optional(
      Type.Boolean({ default: false, description: "Answer what would happen, change nothing." }),
    ),
    on_error: Type.Optional(
      Type.Enum(["abort", "continue"], {
        default: "abort",
        description:
          "`continue`: operations that are invalid by themselves are reported and left out; the rest is applied atomically.",
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
  unchanged: count("Upserts of the content that was there: nothing rewritten."),
  removed: count("Deletes that found a record."),
  absent: count("Deletes that found none."),
  stale: count("Operations on records that a newer sync already decided."),
  superseded: count("Operations whose record a later operation of the request, or of the run, names too."),
  cleared: count("Records that a full refresh removed because nothing in it named them."),
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

/** Kinds of change that a dry run gives sample ids of. */
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
  processing_time_ms: count("Milliseconds the server worked on the request."),
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
