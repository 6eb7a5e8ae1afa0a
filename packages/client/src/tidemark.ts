import type { NamespaceObject, RecordObject, RefreshObject, SyncObject } from "@tidemark/protocol/browse";
import type { CheckExistsRequest, CheckExistsResponse } from "@tidemark/protocol/check-exists";
import type { HealthResponse, ValidateResponse } from "@tidemark/protocol/health";
import type { Deleted, List } from "@tidemark/protocol/management";
import type { SearchRequest, SearchResponse } from "@tidemark/protocol/search";
import type { SyncMode, SyncResponse } from "@tidemark/protocol/sync";
import { type CallOptions, type ConnectionOptions, connect, type Send } from "./connection.ts";
import type { Page } from "./lists.ts";
import { type Plan, planSync } from "./plan.ts";
import type { SourceRecords } from "./record.ts";
import type { Store, StoreCalls, SyncFields, SyncHead, SyncOptions } from "./store-calls.ts";
import { syncAll } from "./sync-all.ts";
import type { SyncAllOptions, SyncAllResult } from "./sync-all-options.ts";

export interface TidemarkOptions extends ConnectionOptions {
  /** `org_…` */
  organizationId: string;
  /** `vs_…` */
  vectorStoreId: string;
}

/** Methods of requests that may be applied twice: reads and syncs. */
const READS_AND_SYNCS = ["GET", "POST"];

/**
 * One vector store: syncs, searches and reads it.
 *
 * Every method rejects with a `TidemarkError`, or with the signal's reason if that was aborted. Reads and syncs are
 * sent again after a failure that may pass.
 */
export class Tidemark implements StoreCalls {
  #names: Store;
  #pipeline: Send;
  #store: Send;

  constructor(options: TidemarkOptions) {
    const { organizationId: organization_id, vectorStoreId: vector_store_id } = options;
    const path = ["organizations", organization_id, "vector-stores", vector_store_id];
    this.#names = { organization_id, vector_store_id };
    this.#pipeline = connect(options, ["pipeline"], READS_AND_SYNCS);
    this.#store = connect(options, path, READS_AND_SYNCS);
  }

  /**
   * Syncs any number of records: with batches, retries, rate limits, deletes, and a comparison of digests at the end.
   * @throws TidemarkError; whatever `records` throws; TypeError for a record that cannot be written as JSON
   */
  syncAll(records: SourceRecords, options: SyncAllOptions): Promise<SyncAllResult> {
    return syncAll(this, records, options);
  }

  /**
   * Reports what `syncAll` would do now with the same records and options. Changes nothing that a reader can see.
   *
   * - **Records that fit one request** (`batchOperations` and `batchBytes`): one dry run. Exact, and leaves no trace.
   * - **A full refresh of more**: its parts are staged invisibly in a separate run, the last batch is a dry run over
   *   all of them, and the run is aborted. Exact. It takes as many requests as the refresh, and the history of syncs
   *   shows the parts.
   * - **An incremental sync of more**: one dry run for each batch, added up. Each is planned without the batches
   *   before it, so a record in two batches counts in both. With `deleteMissing`, the namespace is also listed.
   *
   * The plan does not know what others sync before the real run.
   */
  plan(records: SourceRecords, options: SyncAllOptions): Promise<Plan> {
    return planSync(this, records, options);
  }

  /** Applies up to 5000 operations, all of them or none. */
  sync(fields: SyncFields, options?: SyncOptions): Promise<SyncResponse>;
  sync(fields: SyncHead, options: SyncOptions & { written: string[] }): Promise<SyncResponse>;
  sync(fields: SyncHead, options: SyncOptions = {}): Promise<SyncResponse> {
    const { idempotencyKey = crypto.randomUUID(), written } = options;
    let body = JSON.stringify({ ...this.#names, ...fields });
    if (written) body = `${body.slice(0, -1)},"operations":[${written.join()}]}`;
    return this.#pipeline(["sync"], options, { body, headers: { "idempotency-key": idempotencyKey } });
  }

  /** Tells which of up to 5000 ids exist in a namespace. */
  checkExists(
    request: Omit<CheckExistsRequest, keyof Store>,
    options?: CallOptions,
  ): Promise<CheckExistsResponse> {
    return this.#pipeline(["check-exists"], options, { body: { ...this.#names, ...request } });
  }

  /** Tells whether the service works. An unhealthy service is an answer, not an error. */
  health(options?: CallOptions): Promise<HealthResponse> {
    return this.#pipeline(["health"], options);
  }

  /** Checks the key, organization and store. @throws TidemarkError VALIDATION_FAILED with `details.checks` */
  validate(options?: CallOptions): Promise<ValidateResponse> {
    return this.#pipeline(["health", "validate"], options, { method: "POST", query: this.#names });
  }

  /** Lists every namespace that was ever written, by name, with its count and digest. */
  listNamespaces(query?: Page, options?: CallOptions): Promise<List<NamespaceObject>> {
    return this.#store(["namespaces"], options, { query });
  }

  /** Lists the records of a namespace, by id. @throws TidemarkError LISTING_OUTDATED after a refresh: start again */
  listRecords(query: Page & { namespace: string }, options?: CallOptions): Promise<List<RecordObject>> {
    return this.#store(["records"], options, { query });
  }

  /** @throws TidemarkError RESOURCE_NOT_FOUND */
  getRecord(query: { namespace: string; id: string }, options?: CallOptions): Promise<RecordObject> {
    return this.#store(["record"], options, { query });
  }

  /** Lists unfinished refreshes in parts; a connector sees its own. */
  listRefreshes(query?: Page, options?: CallOptions): Promise<List<RefreshObject>> {
    return this.#store(["refreshes"], options, { query });
  }

  /** Aborts an unfinished refresh. @param id `run_…`, from {@link listRefreshes} */
  abortRefresh(id: string, options?: CallOptions): Promise<Deleted> {
    return this.#store(["refreshes", id], options, { method: "DELETE" });
  }

  /** Lists the acknowledged syncs, newest first; a connector sees its own. */
  listSyncs(
    query?: Page & { connector_id?: string; sync_mode?: SyncMode },
    options?: CallOptions,
  ): Promise<List<SyncObject>> {
    return this.#store(["syncs"], options, { query });
  }

  getSync(id: string, options?: CallOptions): Promise<SyncObject> {
    return this.#store(["syncs", id], options);
  }

  /**
   * Finds the records that match a query best, with a reader's key.
   * @throws TidemarkError INDEX_NOT_READY if the sync of `after_sync` was not searchable within `timeout_ms`
   */
  search(request: SearchRequest, options?: CallOptions): Promise<SearchResponse> {
    return this.#store(["search"], options, { body: request });
  }
}
