export type {
  SearchChunk,
  SearchFilter,
  SearchMode,
  SearchRequest,
  SearchResponse,
  SearchResult,
} from "@tidemark/protocol/search";
export type { SyncOperation, SyncRequest, SyncResponse } from "@tidemark/protocol/sync";
export type { CallOptions, Pause, Wait } from "./connection.ts";
export { digestOf } from "./digest.ts";
export { type ExceedingNamespace, type FailureCode, TidemarkError } from "./errors.ts";
export { everyItem, type Page } from "./lists.ts";
export { Management, type ManagementOptions } from "./management.ts";
export type { Plan } from "./plan.ts";
export type { SourceRecord } from "./record.ts";
export type { RemovalLimit } from "./removal-limit.ts";
export type { RetryPolicy } from "./retry.ts";
export type { SyncFields, SyncOptions } from "./store-calls.ts";
export {
  type DigestPair,
  newRun,
  type Progress,
  type Run,
  type SyncAllOptions,
  type SyncAllResult,
} from "./sync-all-options.ts";
export { Tidemark, type TidemarkOptions } from "./tidemark.ts";
