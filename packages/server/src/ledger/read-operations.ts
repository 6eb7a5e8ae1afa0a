import type { FieldError } from "@tidemark/protocol/errors";
import { isName } from "@tidemark/protocol/keepable-text";
import { type OperationError, SyncOperation } from "@tidemark/protocol/sync";
import { checkDateTime, shapeCheck } from "../wire/check-shape.ts";
import { fieldPath } from "../wire/field-path.ts";
import type { ParsedJson } from "../wire/read-json.ts";
import { type Operation, toOperation } from "./operation.ts";

const operationCheck = shapeCheck(SyncOperation);

/** An operation that is invalid by itself. */
export interface FailedOperation {
  error: OperationError;
  /** Null if it cannot be read. */
  namespace: string | null;
  id: string | null;
}

export interface ReadOperations {
  /** The valid operations, in order. */
  operations: Operation[];
  /** The invalid ones, in order, each with its first error. */
  failed: FailedOperation[];
  /** Every error of every operation. */
  fieldErrors: FieldError[];
}

/** Reads and validates each operation of a request. */
export function readOperations({ value, inexactElements, elements }: ParsedJson): ReadOperations {
  const read: ReadOperations = { operations: [], failed: [], fieldErrors: [] };
  const received = (value as { operations?: unknown } | null)?.operations;
  if (!Array.isArray(received)) return read;
  const sent = elements.length === received.length ? elements : undefined;
  for (let index = 0; index < received.length; index++) {
    const operation: unknown = received[index];
    const errors = inexactElements.get(index) ?? [];
    const matches = operationCheck.matches(operation);
    if (matches && errors.length === 0 && !checkTimes(operation, index, errors)) {
      read.operations.push(toOperation(operation, sent?.[index]));
      continue;
    }
    if (!matches) errors.push(...operationCheck.errors(operation, ["operations", index]));
    read.fieldErrors.push(...errors);
    read.failed.push(failedOperation(operation, index, errors));
  }
  return read;
}

/** Adds an error for each time that does not exist. @returns whether the operation has any error */
function checkTimes(operation: SyncOperation, index: number, errors: FieldError[]): boolean {
  for (const name of ["created_at", "updated_at"] as const) {
    const text = operation[name];
    if (text === undefined) continue;
    const problem = checkDateTime(text, fieldPath(["operations", index, name]), { zoned: false });
    if (problem) errors.push(problem);
  }
  return errors.length > 0;
}

function failedOperation(operation: unknown, index: number, errors: FieldError[]): FailedOperation {
  // The fields are checked again, because only some of an operation's errors are collected.
  const readable = (name: "id" | "namespace"): string | null => {
    const text = (operation as Record<string, unknown> | null)?.[name];
    return typeof text === "string" && isName(text) ? text : null;
  };
  const [id, namespace] = [readable("id"), readable("namespace")];
  const first = errors[0]!;
  const error = { index, id, namespace, code: first.code, message: `${first.field}: ${first.message}` };
  return { error, id, namespace };
}
