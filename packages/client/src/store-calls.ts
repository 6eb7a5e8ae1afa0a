import type { RecordObject, RefreshObject } from "@tidemark/protocol/browse";
import type { Deleted, List } from "@tidemark/protocol/management";
import type { SyncRequest, SyncResponse } from "@tidemark/protocol/sync";
import type { CallOptions } from "./connection.ts";
import type { Page } from "./lists.ts";

/** The ids of a client's store. */
export type Store = Pick<SyncRequest, "organization_id" | "vector_store_id">;

/** A sync's fields without the store, which the client knows. */
export type SyncFields = Omit<SyncRequest, keyof Store>;

/** A sync's fields without the operations, which are in {@link SyncOptions.written}. */
export type SyncHead = Omit<SyncFields, "operations">;

export interface SyncOptions extends CallOptions {
  /** A request that is sent again with its key is applied only once. Default: a new key. */
  idempotencyKey?: string;
  /** Operations as JSON texts, in place of `operations`. */
  written?: string[];
}

/** The methods of `Tidemark` that `syncAll` and `plan` use. */
export interface StoreCalls {
  sync(fields: SyncHead, options: SyncOptions & { written: string[] }): Promise<SyncResponse>;
  listRecords(query: Page & { namespace: string }, options?: CallOptions): Promise<List<RecordObject>>;
  listRefreshes(query?: Page): Promise<List<RefreshObject>>;
  abortRefresh(id: string): Promise<Deleted>;
}
