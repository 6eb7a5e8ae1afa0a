import { BATCH_LIMITS } from "./operation-batch.ts";

/** Every limit of requests and answers, with its unit. A server can change those that are documented as settings. */
export const LIMITS = {
  /** Operations of one sync and ids of one check-exists. */
  batchOperations: BATCH_LIMITS.operations,
  /** Namespaces in a full refresh's `namespaces`. */
  syncNamespaces: 100,
  /** Unicode code points of a record's id, of a namespace, of a `source_system`. */
  identifierCodePoints: 255,
  /** Unicode code points of a `refresh_id`. */
  refreshIdCodePoints: 64,
  /** Failed operations of one refresh whose records it protects. */
  protectedRecords: 5000,
  /** Ids of each kind of change in a dry run's `samples`. */
  sampleIds: 20,
  /** Characters of an `Idempotency-Key`. */
  idempotencyKeyCharacters: 255,
  /** How long the answer under an `Idempotency-Key` is replayed. */
  answerKeptMs: 24 * 3600 * 1000,
  /** Unicode code points of each path or URL of `file`. */
  fileUrlCodePoints: 8192,
  /** Levels of arrays and objects in a request body. */
  jsonDepth: 64,
  /** Body of a pipeline request, before and after decompression (a setting of the server). */
  bodyBytes: 64 * 1024 * 1024,
  /** Body of a management request. */
  managementBodyBytes: 256 * 1024,
  /** How far ahead of the server's clock a `sync_timestamp` may be. */
  futureMs: 5 * 60 * 1000,
  /** Entries of an error's `details.errors`. */
  listedErrors: 100,
  /** Sliding window of the rate limits. */
  rateWindowMs: 60_000,
  /** Requests per window, endpoint and organization (a setting of the server). */
  requestsPerWindow: 100,
  /** Rows of one page of a list; the default page has `pageRowsDefault`. */
  pageRows: 100,
  pageRowsDefault: 20,
  /** Unicode code points of names and of descriptions. */
  nameCodePoints: 255,
  descriptionCodePoints: 4096,
  /** Unicode code points of a search's `query`. */
  queryCodePoints: 4096,
  /** Records of one search's answer; by default `searchResultsDefault`. */
  searchResults: 100,
  searchResultsDefault: 10,
  /** Chunks of each record. */
  resultChunks: 10,
  /** Namespaces of one search. */
  searchNamespaces: 100,
  /** How long a search waits for `after_sync`; by default `searchTimeoutMsDefault`. */
  searchTimeoutMs: 60_000,
  searchTimeoutMsDefault: 10_000,
  /** Levels of nested filters and `$not`s, including the outermost. */
  filterDepth: 16,
  /** Conditions of a filter: each operator of each field, and each field with a plain value. */
  filterConditions: 200,
  /** Values of one `$in` or `$nin`. */
  filterValues: 1000,
  /** Unicode code points of a path in a filter. */
  filterPathCodePoints: 255,
} as const;
