import { TidemarkError } from "@tidemark/client";
import { LineError } from "@tidemark/protocol/lines";

/** The exit codes. */
export const EXIT = {
  done: 0,
  /** The input, the configuration or a record is invalid. Running again fails in the same way. */
  invalid: 1,
  /** The removal limit rejected an ACTIVATE_VERSION. */
  refused: 2,
  /** The server could not be reached, or failed. Running again may succeed. */
  unavailable: 3,
} as const;

/** A place in the input. */
export interface Place {
  stream?: string | undefined;
  /** Counted from 1. */
  line?: number | undefined;
  /** A path in the record, such as `address.lines[2]`. */
  field?: string | undefined;
}

/** A failure that a person can act on. Its message is one line. */
export class TargetError extends Error {
  override readonly name = "TargetError";
  readonly exitCode: number;

  constructor(message: string, place: Place = {}, exitCode: number = EXIT.invalid, cause?: unknown) {
    super(placed(message, place), { cause });
    this.exitCode = exitCode;
  }
}

/** A fault of a record's field; the caller adds the place of the record. */
export class FieldError extends Error {
  override readonly name = "FieldError";
  readonly field: string | undefined;

  constructor(message: string, field: string | undefined) {
    super(message);
    this.field = field;
  }
}

/** A message after its place, in one line even if names contain line breaks. */
export function placed(message: string, { stream, line, field }: Place): string {
  const parts = [
    stream === undefined ? [] : `stream ${JSON.stringify(stream)}`,
    line === undefined ? [] : `line ${line}`,
    field === undefined ? [] : `field ${JSON.stringify(field)}`,
  ].flat();
  const oneLine = message.replaceAll(/\s*[\r\n]+\s*/g, " ");
  return parts.length > 0 ? `${parts.join(", ")}: ${oneLine}` : oneLine;
}

/** A path in the form `a.b[3]`. */
export function fieldPath(steps: readonly (string | number)[]): string {
  return steps
    .map((step, i) => (typeof step === "number" ? `[${step}]` : i === 0 ? step : `.${step}`))
    .join("");
}

/** Describes a failure in one line with an exit code. Unknown errors are faults of the program. */
export function asTargetError(error: unknown, place: Place = {}): TargetError {
  if (error instanceof TargetError) return error;
  if (error instanceof FieldError) return new TargetError(error.message, { ...place, field: error.field });
  if (error instanceof LineError) {
    return new TargetError(`The input ${error.fault}.`, { line: error.line }, EXIT.invalid, error);
  }
  if (!(error instanceof TidemarkError)) {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return new TargetError(message, place, EXIT.invalid, error);
  }
  const trace = error.trace_id ? ` (${error.trace_id})` : "";
  let { message } = error;
  if (error.is("VALIDATION_FAILED")) {
    const failed = Object.values(error.details.checks).flatMap((check) =>
      check.valid ? [] : (check.error ?? []),
    );
    message += ` ${failed.join(" ")}`;
  }
  return new TargetError(`${error.code}: ${message}${trace}`, place, exitCodeOf(error), error);
}

function exitCodeOf(error: TidemarkError): number {
  const { status } = error;
  const isTransient =
    status === undefined || status === 429 || status >= 500 || error.is("UNEXPECTED_ANSWER");
  return isTransient ? EXIT.unavailable : EXIT.invalid;
}
