import type { ErrorBody, ErrorCode, ErrorType, FieldError } from "@tidemark/protocol/errors";
import type { ValidateChecks } from "@tidemark/protocol/health";

/** The server's codes, and those of failures without an answer of the server. */
export type FailureCode =
  | ErrorCode
  /** There was no connection, or it broke. The request may have been applied. */
  | "CONNECTION_FAILED"
  /** There was no answer in time. The request may have been applied. */
  | "TIMED_OUT"
  /** The answer is not Tidemark's, but a proxy's or another server's. */
  | "UNEXPECTED_ANSWER";

/** What a namespace would lose, in the `details` of REMOVAL_LIMIT_EXCEEDED. */
export interface ExceedingNamespace {
  namespace: string;
  /** Its live records before the sync. */
  records: number;
  removed: number;
  cleared: number;
}

/** The `details` of errors that programs can use. */
export interface DetailsOf {
  BATCH_SIZE_EXCEEDED: { limit: number; received: number };
  VALIDATION_ERROR: { errors: FieldError[]; total_errors: number; server_time?: string };
  VALIDATION_FAILED: { checks: ValidateChecks };
  PAYLOAD_TOO_LARGE: { limit_bytes: number };
  REMOVAL_LIMIT_EXCEEDED: { removal_limit: number | string; namespaces: ExceedingNamespace[] };
  INCOMPLETE_REFRESH: {
    expected_operations?: number;
    received_operations?: number;
    received_batches?: number;
  };
  INDEX_NOT_READY: { after_sync: string; pending: number };
  SERVICE_UNAVAILABLE: { outcome?: "not_applied" | "unknown"; reason?: string };
}

type Details<Code> = Code extends keyof DetailsOf ? DetailsOf[Code] : Record<string, unknown>;

/** What is known of a failure: the members of an error's body. */
export interface Failure {
  code: FailureCode;
  message: string;
  /** The HTTP status; absent if there was no answer. */
  status?: number;
  type?: ErrorType;
  system_message?: string;
  /** The id of this request in the server's log. */
  trace_id?: string;
  details?: object;
  /** How long the server asks to wait before the request is sent again, ms. */
  retryAfterMs?: number | undefined;
}

/** A request that failed. Programs decide by `code`; `message` is for people. */
export class TidemarkError<Code extends FailureCode = FailureCode> extends Error {
  override readonly name = "TidemarkError";
  declare readonly code: Code;
  declare readonly status: number | undefined;
  declare readonly type: ErrorType | undefined;
  declare readonly system_message: string | undefined;
  declare readonly trace_id: string | undefined;
  declare readonly details: Details<Code>;
  declare readonly retryAfterMs: number | undefined;

  constructor(failure: Failure & { code: Code }, cause?: unknown) {
    super(failure.message, { cause });
    Object.assign(this, { details: {} }, failure);
  }

  /** Whether the error has this code; if so, its `details` are typed. */
  is<Wanted extends FailureCode>(code: Wanted): this is TidemarkError<Wanted> {
    return (this.code as FailureCode) === code;
  }
}

/** Makes the error of an answer. @param body the answer's JSON, if any */
export function errorOfAnswer({ status, headers }: Response, body: unknown): TidemarkError {
  const failure = (body as Partial<ErrorBody> | undefined)?.error ?? {
    code: "UNEXPECTED_ANSWER",
    message: `The answer (HTTP ${status}) is not one of Tidemark's.`,
  };
  return new TidemarkError({
    ...failure,
    status,
    retryAfterMs: readRetryAfter(headers.get("retry-after") ?? "", Date.now()),
  });
}

/** Reads a `Retry-After` (RFC 9110): seconds, or a date. @returns ms from now, undefined if there is no wait */
export function readRetryAfter(header: string, now: number): number | undefined {
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return ms > 0 ? ms : undefined;
}
