import { type Static, Type } from "typebox";
import { anyObject } from "./any-object.ts";
import { Namespace, RecordId } from "./identifiers.ts";
import { LIMITS } from "./limits.ts";

const MODES = ["hybrid", "lexical", "semantic"] as const;

export const SearchMode = Type.Enum(MODES, { description: "How the results were ranked." });
export type SearchMode = Static<typeof SearchMode>;

/** The server checks filters path by path; a schema could not express the rules. */
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
      description: "The text to search for: words, an identifier or a question.",
    }),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: LIMITS.searchResults,
        default: LIMITS.searchResultsDefault,
        description: "How many records to return at most.",
      }),
    ),
    namespaces: Type.Optional(
      Type.Array(Namespace, {
        maxItems: LIMITS.searchNamespaces,
        description: "Search only these namespaces. Absent: the whole store. Empty: no results.",
      }),
    ),
    filter: Type.Optional(SearchFilter),
    mode: Type.Optional(
      Type.Enum(MODES, {
        description:
          "`lexical` ranks by the query's words (BM25), `semantic` by the similarity of embeddings, `hybrid` by both. Default: `hybrid` if the store has embeddings, else `lexical`. Without embeddings, `hybrid` answers as `lexical` with a warning, and `semantic` is a 422.",
      }),
    ),
    include: Type.Optional(
      Type.Array(Type.Enum(["data", "chunks"]), {
        maxItems: 2,
        description: "What to add to each result: the record's `data`, its best matching `chunks`.",
      }),
    ),
    after_sync: Type.Optional(
      Type.String({
        pattern: "^sync_.+$",
        maxLength: LIMITS.identifierCodePoints,
        description:
          "A `sync_id`: the search waits up to `timeout_ms`, and the answer reflects at least that sync.",
      }),
    ),
    timeout_ms: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: LIMITS.searchTimeoutMs,
        default: LIMITS.searchTimeoutMsDefault,
        description: "How many milliseconds to wait for `after_sync` before a 409 `INDEX_NOT_READY`.",
      }),
    ),
  },
  { additionalProperties: false },
);
export type SearchRequest = Static<typeof SearchRequest>;

const Score = Type.Number({
  description: "Higher is better. Its scale depends on the mode, so compare scores only within one answer.",
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
  text: Type.String({ description: "The text of the best matching chunk." }),
  data: Type.Optional(
    anyObject({
      description: "The record's `data`, if `include` names it.",
    }),
  ),
  chunks: Type.Optional(
    Type.Array(SearchChunk, {
      maxItems: LIMITS.resultChunks,
      description: "The matching chunks, best first, if `include` names them.",
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
      description: "Records of the store whose newest content is not searchable yet.",
    }),
  }),
  warnings: Type.Optional(
    Type.Array(Type.String(), {
      description:
        "How the answer differs from the request, such as a lexical ranking because the embeddings endpoint is unavailable.",
    }),
  ),
});
export type SearchResponse = Static<typeof SearchResponse>;
