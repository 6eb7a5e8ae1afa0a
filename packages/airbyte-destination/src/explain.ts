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

/** What a failure means for the person who set the connection up. @param operations those of the refused request */
export function explain(error: unknown, operations: readonly string[] = []): DestinationError {
  if (error instanceof DestinationError) return error;
  if (!(error instanceof TidemarkError)) {
    const message = error instanceof Error ? error.message : String(error);
    return new DestinationError("system_error", `Something unexpected went wrong: ${message}`, error);
  }
  return new DestinationError(
    TYPES[error.code as FailureCode] ?? "system_error",
    messageOf(error, operations),
    error,
  );
}

function messageOf(error: TidemarkError, operations: readonly string[]): string {
  if (error.is("AUTHENTICATION_REQUIRED")) {
    return "Tidemark does not accept the API key: it is wrong, revoked or expired. Put in a key of a connector.";
  }
  if (error.is("INSUFFICIENT_PERMISSIONS")) {
    return "The API key is not one for this organization and vector store. Check all three.";
  }
  if (error.is("VALIDATION_FAILED")) {
    const failed = Object.values(error.details.checks).flatMap((check) => check.error ?? []);
    return [...new Set(failed)].join(" ");
  }
  if (error.is("REMOVAL_LIMIT_EXCEEDED")) {
    const [lost] = error.details.namespaces;
    const figures = lost && ` of ${lost.records} records, ${lost.removed + lost.cleared} would go`;
    return (
      `The refresh of ${lost?.namespace ?? "a stream"} would remove more than the removal limit ` +
      `(${error.details.removal_limit}) allows:${figures ?? ""}. Nothing was removed. Look whether the source is whole; if it is, ` +
      "raise the limit and sync again."
    );
  }
  if (error.is("STALE_SYNC")) {
    return (
      "Something else has refreshed the same namespace meanwhile, so that this sync is out of date. Give each connection a " +
      "connector and streams of its own, and refresh the stream again."
    );
  }
  if (error.is("INCOMPLETE_REFRESH")) {
    return "The server has forgotten parts of this refresh, so it was not applied. Refresh the stream again.";
  }
  if (error.is("CONNECTION_FAILED") || error.is("TIMED_OUT")) {
    return `Tidemark cannot be reached: ${error.message}${causeOf(error)}`;
  }
  if (error.is("UNEXPECTED_ANSWER")) {
    return `${error.message} Check the server URL, and what stands between Airbyte and the server.`;
  }
  if (error.is("VALIDATION_ERROR")) {
    const [first] = error.details.errors ?? [];
    const named = operationField(first?.field ?? "");
    const refused = named && operations[named.index];
    if (refused) return `Tidemark refuses ${nameOf(refused)}: ${named.field}: ${first!.message}`;
  }
  const unfit = operations.find((operation) =>
    error.is("INVALID_JSON") ? depthOf(operation) > LIMITS.jsonDepth - 2 : error.is("PAYLOAD_TOO_LARGE"),
  );
  return `Tidemark refuses ${unfit ? nameOf(unfit) : "a request"}: ${error.message}`;
}

/** The record of an operation, for people. */
function nameOf(operation: string): string {
  const { id, namespace } = parseJson(operation) as { id: string; namespace: string };
  return `the record ${JSON.stringify(id)} of ${namespace}`;
}

/** Levels of objects and arrays in a JSON text. */
function depthOf(text: string): number {
  let depth = 0;
  let most = 0;
  for (const [sign] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[{\]}]/g)) {
    if (sign === "[" || sign === "{") most = Math.max(most, ++depth);
    else if (sign === "]" || sign === "}") depth--;
  }
  return most;
}

/** What Node says about a connection that failed, such as ECONNREFUSED. */
function causeOf({ cause }: Error): string {
  let last = cause;
  while (last instanceof Error && last.cause instanceof Error) last = last.cause;
  return last instanceof Error ? ` (${(last as NodeJS.ErrnoException).code ?? last.message})` : "";
}
