import { hash } from "node:crypto";
import { ApiError } from "@tidemark/protocol/errors";
import type { SyncChanges, SyncResults } from "@tidemark/protocol/sync";
import type { Identity } from "./access/api-keys.ts";
import type { Config } from "./config.ts";
import { checkExists, readCheckExistsRequest } from "./ledger/check-exists.ts";
import { readSyncRequest } from "./ledger/read-sync-request.ts";
import { applySync } from "./ledger/sync.ts";
import type { Storage } from "./storage/port.ts";
import { type RequestBody, useBody } from "./wire/read-body.ts";
import { readJson } from "./wire/read-json.ts";

/** The JSON text of an answer, and what the metrics report about it. */
export interface PipelineAnswer {
  json: string;
  databaseMs: number;
}

export interface SyncAnswer extends PipelineAnswer {
  /** False for a dry run and for a replayed answer. */
  executed: boolean;
  /** True if the answer is the saved one for this Idempotency-Key or this last batch. */
  replayed: boolean;
  results: SyncResults;
  changes: SyncChanges;
}

/** What the server knows about a sync request besides its body. */
export interface SyncCall {
  syncId: string;
  runId: string;
  traceId: string;
  idempotencyKey: string | null;
}

interface PipelineContext {
  storage: Storage;
  config: Config;
  /** The clock, ms since 1970. */
  now(): number;
}

/** Reads, checks and applies a sync request. @throws ApiError */
export async function answerSync(
  { storage, config, now }: PipelineContext,
  body: RequestBody,
  identity: Identity,
  { idempotencyKey, ...call }: SyncCall,
): Promise<SyncAnswer> {
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
}

/** Reads, checks and answers a check-exists request. @throws ApiError */
export async function answerCheckExists(
  { storage, config }: PipelineContext,
  body: RequestBody,
  identity: Identity,
): Promise<PipelineAnswer> {
  const request = useBody(body, config.bodyLimitBytes, (bytes) => readCheckExistsRequest(readJson(bytes)));
  mustBelong(identity, request.organization_id, request.vector_store_id);
  const opened = performance.now();
  const response = await checkExists(storage, request);
  return { json: JSON.stringify(response), databaseMs: performance.now() - opened };
}

/** Checks that the key is a connector's and the store its own. @throws ApiError INSUFFICIENT_PERMISSIONS */
function mustBelong(identity: Identity, organizationId: string, storeId: string): void {
  const { role } = identity;
  if (role === "connector" && identity.organizationId === organizationId && identity.storeId === storeId)
    return;
  throw new ApiError("INSUFFICIENT_PERMISSIONS");
}
