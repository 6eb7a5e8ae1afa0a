import { hash } from "node:crypto";
import { canonicalJson } from "@tidemark/protocol/canonical-json";
import { ApiError, type FieldError, validationError } from "@tidemark/protocol/errors";
import { LIMITS } from "@tidemark/protocol/limits";
import { SyncOperation, SyncRequest } from "@tidemark/protocol/sync";
import { parseDateTime } from "@tidemark/protocol/timestamps";
import { Type } from "typebox";
import { checkDateTime, shapeCheck } from "../wire/check-shape.ts";
import { fieldPath } from "../wire/field-path.ts";
import type { ParsedJson } from "../wire/read-json.ts";

/** One operation, ready to be planned. */
export interface Operation {
  action: "upsert" | "delete";
  namespace: string;
  id: string;
  /** Of the operation's text as it was sent: the same fingerprint means the same content. Null if unknown. */
  fingerprint: string | null;
  /** An upsert's content. It costs more than the fingerprint, so it is made for the operations that need it. */
  content(): Content;
}

export interface Content {
  /** Canonical JSON of the content's members. */
  text: string;
  /** SHA-256 of id and content, hex. */
  hash: string;
}

/** A sync request that is well-formed. */
export interface Sync {
  organizationId: string;
  storeId: string;
  mode: "incremental" | "full_refresh";
  /** `sync_timestamp` in nanoseconds since 1970. */
  timestamp: bigint;
  operations: Operation[];
  /** Every affected namespace, sorted. */
  namespaces: string[];
}

const envelopeCheck = shapeCheck(
  Type.Object(
    { ...SyncRequest.properties, operations: Type.Array(Type.Unknown()) },
    { additionalProperties: false },
  ),
);
const operationCheck = shapeCheck(SyncOperation);

/** Fields of the contract that this server does not serve yet: refused, so that nobody relies on them in vain. */
const NOT_YET = ["last_batch", "refresh_id", "expected_operations", "removal_limit", "dry_run", "on_error"];

/**
 * Turns a parsed body into a sync, or says everything that is wrong with it.
 * @throws ApiError BATCH_SIZE_EXCEEDED, VALIDATION_ERROR
 */
export function readSyncRequest({ value, inexact, elements }: ParsedJson): Sync {
  const received = (value as { operations?: unknown } | null)?.operations;
  if (Array.isArray(received) && received.length > LIMITS.batchOperations) {
    throw new ApiError("BATCH_SIZE_EXCEEDED", { limit: LIMITS.batchOperations, received: received.length });
  }
  const errors = [...inexact];
  if (!envelopeCheck.matches(value)) {
    errors.push(...envelopeCheck.errors(value).map(explainNotYet));
  } else {
    const problem = checkDateTime(value.sync_timestamp, "sync_timestamp", { zoned: true });
    if (problem) errors.push(problem);
    else if (parseDateTime(value.sync_timestamp)!.ns < 0n) {
      errors.push({ field: "sync_timestamp", code: "TOO_SMALL", message: "Must not be before 1970." });
    }
    if (value.namespaces && value.sync_mode !== "full_refresh") {
      errors.push({
        field: "namespaces",
        code: "NOT_ALLOWED",
        message: "Is for sync_mode full_refresh only.",
      });
    }
  }
  if (Array.isArray(received)) {
    for (let i = 0; i < received.length; i++) {
      const operation: unknown = received[i];
      if (operationCheck.matches(operation)) checkTimes(operation, i, errors);
      else errors.push(...operationCheck.errors(operation, ["operations", i]));
    }
  }
  if (errors.length > 0) throw validationError(errors);

  const request = value as SyncRequest;
  const sent = elements.length === request.operations.length ? elements : undefined;
  const operations = request.operations.map((operation, index) => toOperation(operation, sent?.[index]));
  const affected = new Set(request.namespaces);
  for (const { namespace } of operations) affected.add(namespace);
  return {
    organizationId: request.organization_id,
    storeId: request.vector_store_id,
    mode: request.sync_mode,
    timestamp: parseDateTime(request.sync_timestamp)!.ns,
    operations,
    namespaces: [...affected].sort(),
  };
}

function explainNotYet(error: FieldError): FieldError {
  if (error.code !== "UNKNOWN_FIELD" || !NOT_YET.includes(error.field)) return error;
  return { ...error, code: "NOT_SUPPORTED", message: "Is not supported by this version of the server." };
}

function checkTimes(operation: SyncOperation, index: number, errors: FieldError[]): void {
  for (const name of ["created_at", "updated_at"] as const) {
    const text = operation[name];
    if (text === undefined) continue;
    const problem = checkDateTime(text, fieldPath(["operations", index, name]), { zoned: false });
    if (problem) errors.push(problem);
  }
}

/** The content's members, in canonical order. */
const CONTENT = ["created_at", "data", "file", "source_system", "updated_at"] as const;

function toOperation(operation: SyncOperation, sent: Uint8Array | undefined): Operation {
  const { action, namespace, id } = operation;
  return {
    action,
    namespace,
    id,
    fingerprint: sent ? fingerprintOf(sent) : null,
    content: () => contentOf(operation),
  };
}

/** 128 bits of SHA-256: it is only ever compared with the one that the same record had before. */
function fingerprintOf(sent: Uint8Array): string {
  return hash("sha256", sent, "base64url").slice(0, 22);
}

function contentOf(operation: SyncOperation): Content {
  const members: string[] = [];
  for (const name of CONTENT) {
    const member = operation[name];
    if (member !== undefined) members.push(`"${name}":${canonicalJson(member)}`);
    else if (name === "data") members.push(`"data":{}`);
  }
  const text = `{${members.join(",")}}`;
  return { text, hash: hash("sha256", `[${JSON.stringify(operation.id)},${text}]`, "hex") };
}
