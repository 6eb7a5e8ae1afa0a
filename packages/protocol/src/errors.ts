import { LIMITS } from "./limits.ts";

/** What an error code stands for. {@link ERRORS} lists every answer that is not a 2xx. */
interface ErrorDefinition {
  status: number;
  type: ErrorType;
  /** The default `message`, for the caller. */
  message: string;
  /** The default `system_message`, for logs and tickets. */
  systemMessage: string;
  /** For the reference: when the server answers it, and what to do. */
  meaning: string;
}

export type ErrorType =
  | "validation_error"
  | "authentication_error"
  | "authorization_error"
  | "not_found_error"
  | "conflict_error"
  | "rate_limit_error"
  | "server_error";

const define = <Code extends string>(list: Record<Code, ErrorDefinition>) => list;

export const ERRORS = define({
  INVALID_JSON: {
    status: 400,
    type: "validation_error",
    message: "The request body is not valid JSON.",
    systemMessage: "Malformed request body",
    meaning: `The body is not JSON, not UTF-8, nested deeper than ${LIMITS.jsonDepth} levels, or not the gzip that its header announces. Duplicate keys are accepted: the last one counts.`,
  },
  BAD_REQUEST: {
    status: 400,
    type: "validation_error",
    message: "The request could not be read.",
    systemMessage: "Malformed HTTP request",
    meaning: "The request is not well-formed HTTP: a broken request line, header or percent-encoding.",
  },
  BATCH_SIZE_EXCEEDED: {
    status: 400,
    type: "validation_error",
    message: `A request may carry at most ${LIMITS.batchOperations} items.`,
    systemMessage: "Batch size limit exceeded",
    meaning:
      "One request has more than 5000 operations or ids; `details` has `limit` and `received`. Split the batch.",
  },
  VALIDATION_FAILED: {
    status: 400,
    type: "validation_error",
    message: "The connector's configuration is not valid.",
    systemMessage: "Connector validation failed",
    meaning: "`health/validate` only: at least one check in `details.checks` failed.",
  },
  AUTHENTICATION_REQUIRED: {
    status: 401,
    type: "authentication_error",
    message: "Authentication required. Please provide a valid API key.",
    systemMessage: "Missing or invalid authorization header",
    meaning: "The API key is missing, malformed, unknown, revoked or expired; the answer does not say which.",
  },
  INSUFFICIENT_PERMISSIONS: {
    status: 403,
    type: "authorization_error",
    message: "You do not have permission to access this resource.",
    systemMessage: "Insufficient permissions for this operation",
    meaning:
      "The resource is outside the key's organization, store or role; the answer does not say whether it exists.",
  },
  RESOURCE_NOT_FOUND: {
    status: 404,
    type: "not_found_error",
    message: "The requested resource does not exist.",
    systemMessage: "Resource not found",
    meaning: "No route has this path, or the resource that the path names does not exist.",
  },
  VECTOR_STORE_NOT_FOUND: {
    status: 404,
    type: "not_found_error",
    message: "The vector store does not exist.",
    systemMessage: "Vector store not found",
    meaning: "The organization has no vector store with this id, or it was deleted.",
  },
  CONNECTOR_NOT_FOUND: {
    status: 404,
    type: "not_found_error",
    message: "The connector does not exist.",
    systemMessage: "Connector not found",
    meaning: "The organization has no connector with this id, or it was deleted.",
  },
  API_KEY_NOT_FOUND: {
    status: 404,
    type: "not_found_error",
    message: "The API key does not exist.",
    systemMessage: "API key not found",
    meaning: "The connector has no key with this id.",
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    type: "validation_error",
    message: "This path does not support the request's method.",
    systemMessage: "Method not allowed",
    meaning: "The path supports only the methods in the `Allow` header.",
  },
  NOT_ACCEPTABLE: {
    status: 406,
    type: "validation_error",
    message: "The response is available as application/json only.",
    systemMessage: "Not acceptable",
    meaning: "The `Accept` header rules out `application/json`.",
  },
  REQUEST_TIMEOUT: {
    status: 408,
    type: "validation_error",
    message: "The request did not arrive in time.",
    systemMessage: "Request timeout",
    meaning: "The request's headers or body took longer than the server waits. Nothing was changed.",
  },
  STALE_SYNC: {
    status: 409,
    type: "conflict_error",
    message: "A newer full refresh of this namespace was already applied.",
    systemMessage: "Sync is older than the last full refresh",
    meaning:
      "The full refresh is older than the namespace's last one, or its run has ended. Nothing was changed; `details` has both times, or the run.",
  },
  REMOVAL_LIMIT_EXCEEDED: {
    status: 409,
    type: "conflict_error",
    message: "The sync would remove more records than its removal_limit allows.",
    systemMessage: "Removal limit exceeded",
    meaning:
      "Nothing was changed; `details` has the counts of each namespace. Check the source, or raise `removal_limit`.",
  },
  INCOMPLETE_REFRESH: {
    status: 409,
    type: "conflict_error",
    message: "The parts of this refresh that arrived do not add up to expected_operations.",
    systemMessage: "Incomplete refresh",
    meaning:
      "Nothing was changed; `details` says how many operations arrived. Send the missing parts. If the refresh expired before its last batch arrived, send all parts again with a new `sync_timestamp`.",
  },
  IDEMPOTENCY_KEY_IN_USE: {
    status: 409,
    type: "conflict_error",
    message: "A request with this Idempotency-Key is still running.",
    systemMessage: "Idempotency key in use",
    meaning: "Send the request again after the first call was answered.",
  },
  INDEX_NOT_READY: {
    status: 409,
    type: "conflict_error",
    message: "The index has not caught up with this sync yet.",
    systemMessage: "Index not ready",
    meaning:
      "The sync of `after_sync` was not searchable within `timeout_ms`; `details` has `after_sync` and `pending`, the number of its records that are not searchable yet. Search again, or with a longer `timeout_ms`.",
  },
  LISTING_OUTDATED: {
    status: 409,
    type: "conflict_error",
    message: "The namespace was refreshed while it was being listed. Please start again.",
    systemMessage: "Listing outdated by a refresh",
    meaning:
      "A full refresh was applied between two pages of a listing of records. Start again without a cursor.",
  },
  ALREADY_EXISTS: {
    status: 409,
    type: "conflict_error",
    message: "Something with this id already exists.",
    systemMessage: "Resource already exists",
    meaning: "The requested id is taken. Choose another.",
  },
  PAYLOAD_TOO_LARGE: {
    status: 413,
    type: "validation_error",
    message: "The request body is too large.",
    systemMessage: "Payload too large",
    meaning: "The body exceeds the server's limit, `details.limit_bytes`, before or after decompression.",
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    type: "validation_error",
    message: "The request body must be application/json, plain or gzip-encoded.",
    systemMessage: "Unsupported media type",
    meaning:
      "The `Content-Type` is missing or not `application/json`, or the `Content-Encoding` is not gzip.",
  },
  VALIDATION_ERROR: {
    status: 422,
    type: "validation_error",
    message: "The request is not valid.",
    systemMessage: "Request validation failed",
    meaning:
      "`details.errors` lists the wrong fields (at most 100), and `details.total_errors` counts them. Nothing was changed.",
  },
  IDEMPOTENCY_KEY_REUSED: {
    status: 422,
    type: "validation_error",
    message: "This Idempotency-Key was used with another request body.",
    systemMessage: "Idempotency key reused",
    meaning: "Use a new key for each new request.",
  },
  RATE_LIMIT_EXCEEDED: {
    status: 429,
    type: "rate_limit_error",
    message: "Too many requests. Please wait before you try again.",
    systemMessage: "Rate limit exceeded",
    meaning:
      "`Retry-After` has the seconds to wait. Nothing was changed, and the limit does not count the request.",
  },
  HEADERS_TOO_LARGE: {
    status: 431,
    type: "validation_error",
    message: "The request's headers are too large.",
    systemMessage: "Request header fields too large",
    meaning: "The request line and the headers together exceed 16 KiB.",
  },
  INTERNAL_ERROR: {
    status: 500,
    type: "server_error",
    message: "Something went wrong on our side.",
    systemMessage: "Internal server error",
    meaning: "The server failed. Its log has the cause under the same `trace_id`.",
  },
  SERVICE_UNAVAILABLE: {
    status: 503,
    type: "server_error",
    message: "The service is not available right now. Please try again.",
    systemMessage: "Service unavailable",
    meaning:
      "The database is unavailable, the server is overloaded, or it is stopping. `details.outcome` is `not_applied`, or `unknown` if the connection was lost during the commit. Send the request again after `Retry-After` seconds.",
  },
});

export type ErrorCode = keyof typeof ERRORS;

/** One wrong field of a request or of an operation. */
export interface FieldError {
  /** A path such as `operations[4999].id`. */
  field: string;
  code: string;
  message: string;
}

/** The body of every non-2xx answer. */
export interface ErrorBody {
  success: false;
  error: {
    code: ErrorCode;
    message: string;
    system_message: string;
    type: ErrorType;
    status: number;
    trace_id: string;
    timestamp: string;
    details: Record<string, unknown>;
  };
}

/** An error to answer. Any code may throw it; only the HTTP layer writes its body. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: ErrorCode;
  readonly details: Record<string, unknown>;

  constructor(
    code: ErrorCode,
    details: Record<string, unknown> = {},
    message: string = ERRORS[code].message,
  ) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** Makes a 422 that lists at most {@link LIMITS.listedErrors} wrong fields, and counts all. */
export function validationError(errors: FieldError[], details: Record<string, unknown> = {}): ApiError {
  const first = errors[0];
  return new ApiError(
    "VALIDATION_ERROR",
    { errors: errors.slice(0, LIMITS.listedErrors), total_errors: errors.length, ...details },
    first ? `${first.field}: ${first.message}` : undefined,
  );
}

/** The body of an error's answer. */
export function errorBody(error: ApiError, traceId: string, now: Date): ErrorBody {
  const { status, type, systemMessage } = ERRORS[error.code];
  return {
    success: false,
    error: {
      code: error.code,
      message: error.message,
      system_message: systemMessage,
      type,
      status,
      trace_id: traceId,
      timestamp: now.toISOString(),
      details: error.details,
    },
  };
}
