import { TidemarkError } from "@tidemark/client";
import { LineError } from "@tidemark/protocol/lines";

/** What the process ends with. */
export const EXIT = {
  done: 0,
  /** The input, the configuration or a record is wrong: the same again ends the same. */
  invalid: 1,
  /** The removal limit refused an ACTIVATE_VERSION. */
  refused: 2,
  /** The server could not be reached or failed: the same again may succeed. */
  unavailable: 3,
} as const;

/** Where in the input something is. */
export interface Place {
  stream?: string | undefined;
  /** From 1 on. */
  line?: number | undefined;
  /** A path in the record, such as `address.lines[2]`. */
  field?: string | undefined;
}

/** A failure that a person can do something about. Its message is one line. */
export class TargetError extends Error {
  override readonly name = "TargetError";
  readonly exitCode: number;

  constructor(message: string, place: Place = {}, exitCode: number = EXIT.invalid, cause?: unknown) {
    super(placed(message, place), { cause });
    this.exitCode = exitCode;
  }
}

/** What is wrong with a field of a record; whoever has the record adds where it came from. */
export class FieldError extends Error {
  override readonly name = "FieldError";
  readonly field: string | undefined;

  constructor(message: string, field: string | undefined) {
    super(message);
    this.field = field;
  }
}

/** A message after the place that it is about, in one line whatever the names have in them. */
export function placed(message: string, { stream, line, field }: Place): string {
  const parts = [
    stream === undefined ? [] : `stream ${JSON.stringify(stream)}`,
    line === undefined ? [] : `line ${line}`,
    field === undefined ? [] : `field ${JSON.stringify(field)}`,
  ].flat();
  const oneLine = message.replaceAll(/\s*[\r\n]+\s*/g, " ");
  return parts.length > 0 ? `${parts.join(", ")}: ${oneLine}` : oneLine;
}

/** A path as people write it: `a.b[3]`. */
export function fieldPath(steps: readonly (string | number)[]): string {
  return steps
    .map((step, i) => (typeof step === "number" ? `[${step}]` : i === 0 ? step : `.${step}`))
    .join("");
}

/** What failed, as one line and an exit code. What is none of ours is a fault of the program. */
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
  const passing = status === undefined || status === 429 || status >= 500 || error.is("UNEXPECTED_ANSWER");
  return passing ? EXIT.unavailable : EXIT.invalid;
}
