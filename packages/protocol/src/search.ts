import { type Static, Type } from "typebox";
import { anyObject } from "./any-object.ts";
import { Namespace, RecordId } from "./identifiers.ts";
import { LIMITS } from "./limits.ts";

const MODES = ["hybrid", "lexical", "semantic"] as const;

export const SearchMode = Type.Enum(MODES, { description: "How the results were found and ranked." });
export type SearchMode = Static<typeof SearchMode>;

/** Checked by the server, path by path: a schema of it would say less than the guide's table. */
export const SearchFilter = anyObject({
  description:
    'A condition on `data`, such as `{"status": "open", "author.name": {"$in": ["Ada", "Grace"]}}`. Operators: `$eq $ne $in $nin $gt $gte $lt $lte $exists $not`, and `$and $or $not` over whole filters.',
});
export type SearchFilter = Static<typeof SearchFilter>;

export const SearchRequest = Type.Object(
  {
    query: Type.String({
      minLength: 1,
      maxLength: LIMITS.queryCodePoints,
      description: "What is searched for: words, an identifier, or a question.",
    }),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: LIMITS.searchResults,
        default: LIMITS.searchResultsDefault,
        description: "How many records to answer at most.",
      }),
    ),
    namespaces: Type.Optional(
      Type.Array(Namespace, {
        maxItems: LIMITS.searchNamespaces,
        description: "Search these only. Absent: all of the store. An empty list finds nothing.",
      }),
    ),
    filter: Type.Optional(SearchFilter),
    mode: Type.Optional(
      Type.Enum(MODES, {
        description:
          "`lexical` ranks by the query's words (BM25), `semantic` by the nearness of the embeddings, `hybrid` by both. Absent: `hybrid` where the store embeds, else `lexical`. `hybrid` in a store that does not embed is `lexical` with a warning; `semantic` there is a 422.",
      }),
    ),
    include: Type.Optional(
      Type.Array(Type.Enum(["data", "chunks"]), {
        maxItems: 2,
        description: "What each result has besides: the record's `data`, its best matching `chunks`.",
      }),
    ),
    after_sync: Type.Optional(
      Type.String({
        pattern: "^sync_.+$",
        maxLength: LIMITS.identifierCodePoints,
        description: "A `sync_id`: the answer reflects at least that sync. Waits for it up to `timeout_ms`.",
      }),
    ),
    timeout_ms: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: LIMITS.searchTimeoutMs,
        default: LIMITS.searchTimeoutMsDefault,
        description: "How long to wait for `after_sync`, in milliseconds; then 409 `INDEX_NOT_READY`.",
      }),
    ),
  },
  { additionalProperties: false },
);
export type SearchRequest = Static<typeof SearchRequest>;

const Score = Type.Number({
  description:
    "Higher is better. What it measures depends on the mode, so compare it within one answer only.",
});

/** A chunk of a record that matches the query. */
export const SearchChunk = Type.Object({
  text: Type.String(),
  score: Score,
});
export type SearchChunk = Static<typeof SearchChunk>;

/** A record that was found. */
export const SearchResult = Type.Object({
  id: RecordId,
  namespace: Namespace,
  score: Score,
  text: Type.String({ description: "The text of its best matching chunk." }),
  data: Type.Optional(
    anyObject({
      description: "The record, where `include` asks for it.",
    }),
  ),
  chunks: Type.Optional(
    Type.Array(SearchChunk, {
      maxItems: LIMITS.resultChunks,
      description: "Its matching chunks, best first, where `include` asks for them.",
    }),
  ),
  synced_at: Type.String({ format: "date-time", description: "When this content arrived." }),
});
export type SearchResult = Static<typeof SearchResult>;

export const SearchResponse = Type.Object({
  object: Type.Literal("search_results"),
  mode: SearchMode,
  data: Type.Array(SearchResult, {
    maxItems: LIMITS.searchResults,
    description: "One row per record, best first.",
  }),
  indexing: Type.Object({
    pending: Type.Integer({
      minimum: 0,
      description: "Records of the store whose newest text search does not find yet.",
    }),
  }),
  warnings: Type.Optional(
    Type.Array(Type.String(), {
      description:
        "Why the answer is not quite what was asked for, such as a lexical one because the embeddings endpoint is away.",
    }),
  ),
});
export type SearchResponse = Static<typeof SearchResponse>;
