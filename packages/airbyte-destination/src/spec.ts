import { BATCH_LIMITS } from "@tidemark/protocol/operation-batch";

/** The settings that Airbyte's form shows: the protocol's `spec`. */
export const SPEC = {
  supportsIncremental: true,
  supported_destination_sync_modes: ["append", "append_dedup", "overwrite", "overwrite_dedup"],
  connectionSpecification: {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Tidemark",
    type: "object",
    required: ["url", "api_key", "organization_id", "vector_store_id"],
    additionalProperties: true,
    properties: {
      url: {
        type: "string",
        order: 0,
        title: "Server URL",
        description: "The address at which Airbyte reaches the Tidemark server.",
        pattern: "^https?://",
        examples: ["https://tidemark.example", "http://127.0.0.1:8787"],
      },
      api_key: {
        type: "string",
        order: 1,
        title: "API key",
        description:
          "The key of a connector that only this connection uses. It begins with <code>tdm_c_</code>.",
        airbyte_secret: true,
      },
      organization_id: {
        type: "string",
        order: 2,
        title: "Organization",
        description: "The id of the organization that owns the vector store.",
        pattern: "^org_.+$",
        examples: ["org_acme"],
      },
      vector_store_id: {
        type: "string",
        order: 3,
        title: "Vector store",
        description: "The id of the vector store to keep in sync.",
        pattern: "^vs_.+$",
        examples: ["vs_support"],
      },
      removal_limit: {
        type: "string",
        order: 4,
        title: "Removal limit",
        description:
          "How many records a full refresh may remove from a stream: a number or a percentage. If it would remove more, it changes nothing and the sync fails. Clearing a stream counts as a refresh. Empty: no limit.",
        pattern: "^(\\d{1,9}|(100|[1-9]?\\d)(\\.\\d{1,6})?%)?$",
        examples: ["20%", "1000"],
      },
      batch_records: {
        type: "integer",
        order: 5,
        title: "Records per request",
        description: "The maximum number of records in a request.",
        minimum: 1,
        maximum: BATCH_LIMITS.operations,
        default: BATCH_LIMITS.operations,
      },
      flush_interval_seconds: {
        type: "number",
        order: 6,
        title: "Flush interval",
        description: "The longest time that a record or state waits, in seconds.",
        minimum: 0.1,
        maximum: 3600,
        default: 30,
      },
    },
  },
};
