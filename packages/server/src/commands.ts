import { hash } from "node:crypto";
import { ApiError } from "@tidemark/protocol/errors";
import { LIMITS } from "@tidemark/protocol/limits";
import type { SearchRequest, SearchResponse } from "@tidemark/protocol/search";
import type { SyncChanges, SyncResults } from "@tidemark/protocol/sync";
import type { Identity } from "./access/api-keys.ts";
import {
  type AccessArguments,
  type AccessName,
  type AccessResult,
  accessFunctions,
} from "./access/commands.ts";
import { isAccessRead } from "./access/reads.ts";
import {
  type BrowseArguments,
  type BrowseName,
  type BrowseResult,
  browseFunctions,
} from "./browse/commands.ts";
import { isBrowseWrite } from "./browse/writes.ts";
import type { Config } from "./config.ts";
import { openEmbedder } from "./embedding/endpoint-embedder.ts";
import { EndpointPause } from "./embedding/endpoint-pause.ts";
import {
  type IndexArguments,
  type IndexingContext,
  type IndexName,
  type IndexResult,
  indexFunctions,
} from "./indexing/commands.ts";
import { checkExists, readCheckExistsRequest } from "./ledger/check-exists.ts";
import { readSyncRequest } from "./ledger/read-sync-request.ts";
import { applySync } from "./ledger/sync.ts";
import { search } from "./search/search.ts";
import type { RateWindow, Sql, Storage } from "./storage/port.ts";
import { type RequestBody, useBody } from "./wire/read-body.ts";
import { readJson } from "./wire/read-json.ts";

/** The JSON text of an answer, and what the metrics want to know of it. */
export interface PipelineAnswer {
  json: string;
  databaseMs: number;
}

export interface SyncAnswer extends PipelineAnswer {
  /** False for a dry run, and for an answer that was given before. */
  executed: boolean;
  /** True if this Idempotency-Key, or this last batch, was answered so before. */
  replayed: boolean;
  results: SyncResults;
  changes: SyncChanges;
}

/** What a sync request says outside its body. */
export interface SyncCall {
  syncId: string;
  runId: string;
  traceId: string;
  idempotencyKey: string | null;
}

/**
 * Everything the server does besides HTTP. Each command takes and gives plain data, so that it can run in this
 * thread or in another: see threads/.
 */
export interface Commands {
  /** Reads, checks and applies a sync request. @throws ApiError */
  sync(body: RequestBody, identity: Identity, call: SyncCall): Promise<SyncAnswer>;
  /** Reads, checks and answers a check-exists request. @throws ApiError */
  checkExists(body: RequestBody, identity: Identity): Promise<PipelineAnswer>;
  /** Runs a function of access/commands.ts in a transaction of its own. @throws ApiError */
  access<Name extends AccessName>(name: Name, ...args: AccessArguments<Name>): Promise<AccessResult<Name>>;
  /** Runs a function of browse/commands.ts in a transaction of its own. @throws ApiError */
  browse<Name extends BrowseName>(name: Name, ...args: BrowseArguments<Name>): Promise<BrowseResult<Name>>;
  /** Searches a store. @throws ApiError */
  search(organizationId: string, storeId: string, request: SearchRequest): Promise<SearchResponse>;
  /** Runs a step of indexing/commands.ts. */
  index<Name extends IndexName>(name: Name, ...args: IndexArguments<Name>): Promise<IndexResult<Name>>;
  /** Counts a request against a window of the rate limits. */
  countRequest(window: string, limit: number, windowMs: number): Promise<RateWindow>;
  /** Live records of all stores. */
  countRecords(): Promise<number>;
  /**
   * Does a small step of background work; true if another one is worthwhile at once.
   * @param forgets false to leave out what grows old in days, whose look goes over all stores
   */
  runMaintenance(forgets?: boolean): Promise<boolean>;
}

/** The commands over one open storage. @param now the clock, ms since 1970 */
export function openCommands(storage: Storage, config: Config, now: () => number = Date.now): Commands {
  const embedder = openEmbedder(config);
  const indexing: IndexingContext = {
    storage,
    embedder,
    embeddings: embedder && { model: embedder.model, dimensions: config.embeddingsDimensions || null },
    pause: new EndpointPause(),
    merges: new Map(),
    now,
  };
  const searching = { storage, embedder, pause: new EndpointPause(), now };
  return {
    async sync(body, identity, { idempotencyKey, ...call }) {
      const started = performance.now();
      const { sync, idempotency } = useBody(body, config.bodyLimitBytes, (bytes) => ({
        sync: readSyncRequest(readJson(bytes, "operations")),
        idempotency: idempotencyKey && { key: idempotencyKey, body: hash("sha256", bytes, "hex") },
      }));
      mustBelong(identity, sync.organizationId, sync.storeId);
      const connectorId = identity.connectorId!;
      const opened = performance.now();
      const context = { ...call, connectorId, now: now(), started, idempotency: idempotency || null };
      const applied = await applySync(storage, sync, context);
      return { ...applied, databaseMs: performance.now() - opened };
    },

    async checkExists(body, identity) {
      const request = useBody(body, config.bodyLimitBytes, (bytes) =>
        readCheckExistsRequest(readJson(bytes)),
      );
      mustBelong(identity, request.organization_id, request.vector_store_id);
      const opened = performance.now();
      const response = await checkExists(storage, request);
      return { json: JSON.stringify(response), databaseMs: performance.now() - opened };
    },

    access(name, ...args) {
      // The compiler cannot see that a name's arguments and result belong together.
      const run = accessFunctions[name] as unknown as (sql: Sql, ...args: unknown[]) => Promise<never>;
      const transaction = isAccessRead(name) ? storage.read : storage.write;
      return transaction.call(storage, (sql) => run(sql, ...args)) as Promise<never>;
    },

    browse(name, ...args) {
      const run = browseFunctions[name] as unknown as (sql: Sql, ...args: unknown[]) => Promise<never>;
      const work = (sql: Sql) => run(sql, ...args) as Promise<never>;
      // The second argument of each that writes is its store: syncs of it wait.
      return isBrowseWrite(name) ? storage.write(work, args[1] as string) : storage.read(work);
    },

    search: (...request) => search(searching, ...request),

    index(name, ...args) {
      const run = indexFunctions[name] as unknown as (
        of: IndexingContext,
        ...args: unknown[]
      ) => Promise<never>;
      return run(indexing, ...args);
    },

    countRequest: (window, limit, windowMs) => storage.countRequest(window, limit, windowMs, now()),

    countRecords: () => storage.countRecords(),

    runMaintenance: (forgets = true) => runMaintenance(storage, config, now, forgets),
  };
}

/** Does one step of what is most pressing: sweeping, then, if `forgets`, removing what has grown old. */
async function runMaintenance(
  storage: Storage,
  config: Config,
  now: () => number,
  forgets: boolean,
): Promise<boolean> {
  const swept = await storage.sweep(now());
  const tidied = await storage.index.sweep(now());
  const more = swept.more || tidied.more;
  if (more || !forgets) return more;
  const hourMs = 3_600_000;
  const forgotten = await storage.forget({
    tombstones: now() - config.tombstoneDays * 24 * hourMs,
    openRuns: now() - config.refreshRunHours * hourMs,
    answers: now() - LIMITS.answerKeptMs,
    history: now() - config.historyDays * 24 * hourMs,
  });
  return forgotten.rows > 0;
}

/** A connector writes to its own store, and to nothing else. */
function mustBelong(identity: Identity, organizationId: string, storeId: string): void {
  const { role } = identity;
  if (role === "connector" && identity.organizationId === organizationId && identity.storeId === storeId)
    return;
  throw new ApiError("INSUFFICIENT_PERMISSIONS");
}
