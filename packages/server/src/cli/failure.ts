import { ApiError, type FieldError } from "@tidemark/protocol/errors";

/** Reports an error to the person at the terminal, and makes the process end with 1. */
export function fail(error: unknown): void {
  const { message } = error as Error;
  const id = error instanceof ApiError ? error.details.id : undefined;
  console.error(`tidemark: ${message}${id === undefined ? "" : ` (${id})`}`);
  const errors = error instanceof ApiError ? (error.details.errors as FieldError[] | undefined) : undefined;
  for (const { field, message } of errors?.slice(1) ?? []) console.error(`tidemark: ${field}: ${message}`);
  process.exitCode = 1;
}
