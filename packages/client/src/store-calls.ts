import type { RecordObject, RefreshObject } from "@tidemark/protocol/browse";
import type { Deleted, List } from "@tidemark/protocol/management";
import type { SyncRequest, SyncResponse } from "@tidemark/protocol/sync";
import type { CallOptions } from "./connection.ts";
import type { Page } from "./lists.ts";

/** The names of the store that a client is for. */
export type Store = Pick<SyncRequest, "organization_id" | "vector_store_id">;

/** A sync's fields but for the store, which the client knows. */
export type SyncFields = Omit<SyncRequest, keyof Store>;

/** The same, where the operations are given apart, as {@link SyncOptions.written}. */
export type SyncHead = Omit<SyncFields, "operations">;

export interface SyncOptions extends CallOptions {
  /** The same for the same request: it is then applied once, however often it is sent. Default: a new one. */
  idempotencyKey?: string;
  /** Operations that are JSON already, in place of the fields'. */
  written?: string[];
}

/** The calls that a whole sync is made of: what `syncAll` and `plan` need of a `Tidemark`. */
export interface StoreCalls {
  sync(fields: SyncHead, options: SyncOptions & { written: string[] }): Promise<SyncResponse>;
  listRecords(query: Page & { namespace: string }, options?: CallOptions): Promise<List<RecordObject>>;
  listRefreshes(query?: Page): Promise<List<RefreshObject>>;
  abortRefresh(id: string): Promise<Deleted>;
}
