import { ApiError, type FieldError, validationError } from "@tidemark/protocol/errors";
import { LIMITS } from "@tidemark/protocol/limits";
import { SyncRequest } from "@tidemark/protocol/sync";
import { parseDateTime } from "@tidemark/protocol/timestamps";
import { Type } from "typebox";
import { checkDateTime, shapeCheck } from "../wire/check-shape.ts";
import type { ParsedJson } from "../wire/read-json.ts";
import type { Operation } from "./operation.ts";
import { type FailedOperation, readOperations } from "./read-operations.ts";

/** A sync request that is well-formed. */
export interface Sync {
  organizationId: string;
  storeId: string;
  mode: "incremental" | "full_refresh";
  /** `sync_timestamp` in nanoseconds since 1970. */
  timestamp: bigint;
  operations: Operation[];
  /** Invalid operations, which `on_error: continue` leaves out. */
  failed: FailedOperation[];
  /** Every affected namespace, sorted. */
  namespaces: string[];
  /** False for a part of a full refresh that is only staged. */
  lastBatch: boolean;
  refreshId: string | null;
  expectedOperations: number | null;
  removalLimit: RemovalLimit | null;
  dryRun: boolean;
}

/** How much of a namespace a sync may remove: a number of records, or a share in millionths of a percent. */
export type RemovalLimit = { records: number } | { percentMillionths: number };

const envelopeCheck = shapeCheck(
  Type.Object(
    { ...SyncRequest.properties, operations: Type.Array(Type.Unknown()) },
    { additionalProperties: false },
  ),
);

type Envelope = Omit<SyncRequest, "operations"> & { operations: unknown[] };

/**
 * Turns a parsed body into a sync, or lists everything that is wrong with it.
 * @throws ApiError BATCH_SIZE_EXCEEDED, VALIDATION_ERROR
 */
export function readSyncRequest(parsed: ParsedJson): Sync {
  const { value, inexact, complete } = parsed;
  const received = (value as { operations?: unknown } | null)?.operations;
  if (Array.isArray(received) && received.length > LIMITS.batchOperations) {
    throw new ApiError("BATCH_SIZE_EXCEEDED", { limit: LIMITS.batchOperations, received: received.length });
  }
  const errors: FieldError[] = [...inexact];
  const wellFormed = envelopeCheck.matches(value);
  if (wellFormed) errors.push(...envelopeErrors(value as Envelope));
  else errors.push(...envelopeCheck.errors(value));
  const { operations, failed, fieldErrors } = readOperations(parsed);
  const request = value as Envelope;
  // If the reader stopped collecting errors, operations behind the last one may be invalid without an error.
  const leaveOut = wellFormed && complete && request.on_error === "continue";
  if (!leaveOut) errors.push(...fieldErrors);
  else if (request.sync_mode === "full_refresh") errors.push(...unreadableKeys(failed));
  if (errors.length > 0) throw validationError(errors);

  const affected = new Set(request.namespaces);
  for (const { namespace } of [...operations, ...failed]) if (namespace !== null) affected.add(namespace);
  return {
    organizationId: request.organization_id,
    storeId: request.vector_store_id,
    mode: request.sync_mode,
    timestamp: parseDateTime(request.sync_timestamp)!.ns,
    operations,
    failed,
    namespaces: [...affected].sort(),
    lastBatch: request.last_batch ?? true,
    refreshId: request.refresh_id ?? null,
    expectedOperations: request.expected_operations ?? null,
    removalLimit: readRemovalLimit(request.removal_limit),
    dryRun: request.dry_run ?? false,
  };
}

const REFRESH_ONLY = ["namespaces", "last_batch", "refresh_id", "expected_operations"] as const;

/** Checks what a schema cannot express: that times exist, and which fields exclude each other. */
function envelopeErrors(request: Envelope): FieldError[] {
  const errors: FieldError[] = [];
  const refuse = (field: string, code: string, message: string) => errors.push({ field, code, message });
  const problem = checkDateTime(request.sync_timestamp, "sync_timestamp", { zoned: true });
  if (problem) errors.push(problem);
  else if (parseDateTime(request.sync_timestamp)!.ns < 0n) {
    refuse("sync_timestamp", "TOO_SMALL", "Must not be before 1970.");
  }
  if (request.sync_mode === "incremental") {
    for (const field of REFRESH_ONLY) {
      if (request[field] === undefined || (field === "last_batch" && request.last_batch)) continue;
      refuse(field, "NOT_ALLOWED", "Is for sync_mode full_refresh only.");
    }
  }
  if (request.sync_mode === "full_refresh" && request.last_batch === false) {
    for (const field of ["expected_operations", "removal_limit"] as const) {
      if (request[field] !== undefined) refuse(field, "NOT_ALLOWED", "Goes with the last batch of a run.");
    }
    if (request.dry_run) refuse("dry_run", "NOT_ALLOWED", "Is not possible with last_batch false.");
  }
  return errors;
}

/** A full refresh must know which record a failed operation names, or it would clear that record. */
function unreadableKeys(failed: FailedOperation[]): FieldError[] {
  return failed
    .filter(({ namespace, id }) => namespace === null || id === null)
    .map(({ error }) => ({
      field: `operations[${error.index}]`,
      code: "UNREADABLE_KEY",
      message: `Its namespace and id must be readable in a full refresh. ${error.message}`,
    }));
}

function readRemovalLimit(limit: SyncRequest["removal_limit"]): RemovalLimit | null {
  if (limit === undefined) return null;
  return typeof limit === "number"
    ? { records: limit }
    : { percentMillionths: Math.round(Number.parseFloat(limit) * 1_000_000) };
}
