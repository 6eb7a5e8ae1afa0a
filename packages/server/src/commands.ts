import { ApiError } from "@tidemark/protocol/errors";
import type { SyncChanges, SyncResults } from "@tidemark/protocol/sync";
import type { Identity } from "./access/api-keys.ts";
import {
  type AccessArguments,
  type AccessName,
  type AccessResult,
  accessFunctions,
} from "./access/commands.ts";
import { isAccessRead } from "./access/reads.ts";
import type { Config } from "./config.ts";
import { checkExists, readCheckExistsRequest } from "./ledger/check-exists.ts";
import { readSyncRequest } from "./ledger/read-sync-request.ts";
import { applySync } from "./ledger/sync.ts";
import type { RateWindow, Sql, Storage } from "./storage/port.ts";
import { type RequestBody, readBody, releaseBody } from "./wire/read-body.ts";
import { readJson } from "./wire/read-json.ts";

/** The JSON text of an answer, and what the metrics want to know of it. */
export interface PipelineAnswer {
  json: string;
  databaseMs: number;
}

export interface SyncAnswer extends PipelineAnswer {
  results: SyncResults;
  changes: SyncChanges;
}

/**
 * Everything the server does besides HTTP. Each command takes and gives plain data, so that it can run in this
 * thread or in another: see threads/.
 */
export interface Commands {
  /** Reads, checks and applies a sync request. @throws ApiError */
  sync(body: RequestBody, identity: Identity, syncId: string): Promise<SyncAnswer>;
  /** Reads, checks and answers a check-exists request. @throws ApiError */
  checkExists(body: RequestBody, identity: Identity): Promise<PipelineAnswer>;
  /** Runs a function of access/commands.ts in a transaction of its own. @throws ApiError */
  access<Name extends AccessName>(name: Name, ...args: AccessArguments<Name>): Promise<AccessResult<Name>>;
  /** Counts a request against a window of the rate limits. */
  countRequest(window: string, limit: number, windowMs: number): Promise<RateWindow>;
  /** Live records of all stores. */
  countRecords(): Promise<number>;
  /** Does a small step of background work; true if another one is worthwhile at once. */
  keepHouse(): Promise<boolean>;
}

/** The commands over one open storage. @param now the clock, ms since 1970 */
export function openCommands(
  storage: Storage,
  config: Pick<Config, "bodyLimitBytes" | "tombstoneDays">,
  now: () => number = Date.now,
): Commands {
  const parse = (body: RequestBody, member?: string) =>
    readJson(readBody(body, config.bodyLimitBytes), member);
  return {
    async sync(body, identity, syncId) {
      const started = performance.now();
      const sync = readSyncRequest(parse(body, "operations"));
      releaseBody(body);
      mustBelong(identity, sync.organizationId, sync.storeId);
      const opened = performance.now();
      const response = await applySync(storage, sync, { syncId, now: now() });
      const ended = performance.now();
      const { changes, ...head } = response;
      const processing_time_ms = Math.round(ended - started);
      const json = JSON.stringify({ ...head, processing_time_ms, changes });
      return { json, databaseMs: ended - opened, results: response.results, changes };
    },

    async checkExists(body, identity) {
      const request = readCheckExistsRequest(parse(body));
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

    countRequest: (window, limit, windowMs) => storage.countRequest(window, limit, windowMs, now()),

    countRecords: () => storage.countRecords(),

    async keepHouse() {
      const swept = await storage.sweep(now());
      if (swept.more) return true;
      const purged = await storage.purgeTombstones(now() - config.tombstoneDays * 24 * 3600 * 1000);
      return purged.more;
    },
  };
}

/** A connector writes to its own store, and to nothing else. */
function mustBelong(identity: Identity, organizationId: string, storeId: string): void {
  const { role } = identity;
  if (role === "connector" && identity.organizationId === organizationId && identity.storeId === storeId)
    return;
  throw new ApiError("INSUFFICIENT_PERMISSIONS");
}
