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

/** What a store's endpoints read or sync: the methods that may be applied twice. */
const READS_AND_SYNCS = ["GET", "POST"];

/**
 * One vector store: what a pipeline writes, and what the store holds.
 *
 * Every method rejects with a `TidemarkError`, or with the signal's reason when it was aborted. Reads and syncs are
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
   * Brings any number of records level with a namespace: batches, retries, rate limits, deletions, and a comparison of
   * digests at the end.
   * @throws TidemarkError; whatever `records` throws; TypeError for a record that cannot be written as JSON
   */
  syncAll(records: SourceRecords, options: SyncAllOptions): Promise<SyncAllResult> {
    return syncAll(this, records, options);
  }

  /**
   * What `syncAll` would do now with the same records and options. Nothing that a reader can see is changed.
   *
   * - **Records that fit one request** (`batchOperations` and `batchBytes`): one dry run. Exact, and without a trace.
   * - **A full refresh of more**: its parts are staged, invisibly, under a run of its own, the last batch is planned
   *   over all of them, and the run is given up. Exact. It costs as many requests as the refresh, and the parts are in
   *   the history of syncs.
   * - **An incremental sync of more**: one dry run for each batch, added up. Each is planned against what the store
   *   holds now, without the batches before it: a record that two batches name is counted in both. With `deleteMissing`
   *   the namespace is listed too.
   *
   * In every case it is what would happen now; what others sync before the real run is not in it.
   */
  plan(records: SourceRecords, options: SyncAllOptions): Promise<Plan> {
    return planSync(this, records, options);
  }

  /** Applies up to 5000 operations, all or none. */
  sync(fields: SyncFields, options?: SyncOptions): Promise<SyncResponse>;
  sync(fields: SyncHead, options: SyncOptions & { written: string[] }): Promise<SyncResponse>;
  sync(fields: SyncHead, options: SyncOptions = {}): Promise<SyncResponse> {
    const { idempotencyKey = crypto.randomUUID(), written } = options;
    let body = JSON.stringify({ ...this.#names, ...fields });
    if (written) body = `${body.slice(0, -1)},"operations":[${written.join()}]}`;
    return this.#pipeline(["sync"], options, { body, headers: { "idempotency-key": idempotencyKey } });
  }

  /** Which of up to 5000 ids exist in a namespace. */
  checkExists(
    request: Omit<CheckExistsRequest, keyof Store>,
    options?: CallOptions,
  ): Promise<CheckExistsResponse> {
    return this.#pipeline(["check-exists"], options, { body: { ...this.#names, ...request } });
  }

  /** Whether the service works. An unhealthy one is an answer too, not an error. */
  health(options?: CallOptions): Promise<HealthResponse> {
    return this.#pipeline(["health"], options);
  }

  /** Whether key, organization and store fit together. @throws TidemarkError VALIDATION_FAILED with `details.checks` */
  validate(options?: CallOptions): Promise<ValidateResponse> {
    return this.#pipeline(["health", "validate"], options, { method: "POST", query: this.#names });
  }

  /** Every namespace that was ever written, with its count and digest, by name. */
  listNamespaces(query?: Page, options?: CallOptions): Promise<List<NamespaceObject>> {
    return this.#store(["namespaces"], options, { query });
  }

  /** The records of a namespace, by id. @throws TidemarkError LISTING_OUTDATED after a refresh: start again */
  listRecords(query: Page & { namespace: string }, options?: CallOptions): Promise<List<RecordObject>> {
    return this.#store(["records"], options, { query });
  }

  /** @throws TidemarkError RESOURCE_NOT_FOUND */
  getRecord(query: { namespace: string; id: string }, options?: CallOptions): Promise<RecordObject> {
    return this.#store(["record"], options, { query });
  }

  /** Unfinished refreshes in parts; a connector sees its own. */
  listRefreshes(query?: Page, options?: CallOptions): Promise<List<RefreshObject>> {
    return this.#store(["refreshes"], options, { query });
  }

  /** Gives an unfinished refresh up. @param id `run_…`, from {@link listRefreshes} */
  abortRefresh(id: string, options?: CallOptions): Promise<Deleted> {
    return this.#store(["refreshes", id], options, { method: "DELETE" });
  }

  /** The acknowledged syncs, newest first; a connector sees its own. */
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
   * The records that match a query best, with a reader's key.
   * @throws TidemarkError INDEX_NOT_READY if what `after_sync` names was not searchable within `timeout_ms`
   */
  search(request: SearchRequest, options?: CallOptions): Promise<SearchResponse> {
    return this.#store(["search"], options, { body: request });
  }
}
