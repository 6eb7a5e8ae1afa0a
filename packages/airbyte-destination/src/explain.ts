import { type FailureCode, TidemarkError } from "@tidemark/client";
import { LIMITS } from "@tidemark/protocol/limits";
import { operationField } from "@tidemark/protocol/operation-field";
import { parseJson } from "@tidemark/protocol/parse-json";
import { DestinationError, type FailureType } from "./failure.ts";

const TYPES: Partial<Record<FailureCode, FailureType>> = {
  AUTHENTICATION_REQUIRED: "config_error",
  INSUFFICIENT_PERMISSIONS: "config_error",
  VALIDATION_FAILED: "config_error",
  VALIDATION_ERROR: "config_error",
  INVALID_JSON: "config_error",
  PAYLOAD_TOO_LARGE: "config_error",
  RESOURCE_NOT_FOUND: "config_error",
  VECTOR_STORE_NOT_FOUND: "config_error",
  REMOVAL_LIMIT_EXCEEDED: "config_error",
  STALE_SYNC: "config_error",
  CONNECTION_FAILED: "transient_error",
  TIMED_OUT: "transient_error",
  UNEXPECTED_ANSWER: "transient_error",
  INTERNAL_ERROR: "transient_error",
  REQUEST_TIMEOUT: "transient_error",
  RATE_LIMIT_EXCEEDED: "transient_error",
  SERVICE_UNAVAILABLE: "transient_error",
};

/** Explains an error to the person who set up the connection. @param operations of the rejected request */
export function explain(error: unknown, operations: readonly string[] = []): DestinationError {
  if (error instanceof DestinationError) return error;
  if (!(error instanceof TidemarkError)) {
    const message = error instanceof Error ? error.message : String(error);
    return new DestinationError("system_error", `Unexpected error: ${message}`, error);
  }
  return new DestinationError(
    TYPES[error.code as FailureCode] ?? "system_error",
    messageOf(error, operations),
    error,
  );
}

function messageOf(error: TidemarkError, operations: readonly string[]): string {
  if (error.is("AUTHENTICATION_REQUIRED")) {
    return "Tidemark rejects the API key: it is wrong, revoked or expired. Enter the key of a connector.";
  }
  if (error.is("INSUFFICIENT_PERMISSIONS")) {
    return "The API key is not for a connector of this organization and vector store. Check all three settings.";
  }
  if (error.is("VALIDATION_FAILED")) {
    const problems = Object.values(error.details.checks).flatMap((check) => check.error ?? []);
    return [...new Set(problems)].join(" ");
  }
  if (error.is("REMOVAL_LIMIT_EXCEEDED")) {
    const [exceeded] = error.details.namespaces;
    const figures = exceeded && `: ${exceeded.removed + exceeded.cleared} of ${exceeded.records} records`;
    return (
      `The refresh of ${exceeded?.namespace ?? "a stream"} would remove more than the removal limit ` +
      `(${error.details.removal_limit}) allows${figures ?? ""}. Nothing was removed. ` +
      "Check that the source is complete; if it is, raise the limit and sync again."
    );
  }
  if (error.is("STALE_SYNC")) {
    return (
      "Another pipeline refreshed the same namespace, so this sync is out of date. " +
      "Give each connection its own connector and streams, and refresh the stream again."
    );
  }
  if (error.is("INCOMPLETE_REFRESH")) {
    return "The server no longer has all parts of this refresh, so it did not apply it. Refresh the stream again.";
  }
  if (error.is("CONNECTION_FAILED") || error.is("TIMED_OUT")) {
    return `Tidemark cannot be reached: ${error.message}${causeOf(error)}`;
  }
  if (error.is("UNEXPECTED_ANSWER")) {
    return `${error.message} Check the server URL, and any proxy between Airbyte and the server.`;
  }
  if (error.is("VALIDATION_ERROR")) {
    const [first] = error.details.errors ?? [];
    const place = operationField(first?.field ?? "");
    const rejected = place && operations[place.index];
    if (rejected) return `Tidemark rejects ${nameOf(rejected)}: ${place.field}: ${first!.message}`;
  }
  const rejected = operations.find((operation) =>
    error.is("INVALID_JSON") ? depthOf(operation) > LIMITS.jsonDepth - 2 : error.is("PAYLOAD_TOO_LARGE"),
  );
  return `Tidemark rejects ${rejected ? nameOf(rejected) : "a request"}: ${error.message}`;
}

/** The record of an operation, for people. */
function nameOf(operation: string): string {
  const { id, namespace } = parseJson(operation) as { id: string; namespace: string };
  return `the record ${JSON.stringify(id)} of ${namespace}`;
}

/** How deeply a JSON text nests objects and arrays. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [sign] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[{\]}]/g)) {
    if (sign === "[" || sign === "{") deepest = Math.max(deepest, ++depth);
    else if (sign === "]" || sign === "}") depth--;
  }
  return deepest;
}

/** Node's reason for a failed connection, such as ECONNREFUSED. */
function causeOf({ cause }: Error): string {
  let last = cause;
  while (last instanceof Error && last.cause instanceof Error) last = last.cause;
  return last instanceof Error ? ` (${(last as NodeJS.ErrnoException).code ?? last.message})` : "";
}
