import { ApiError, type ErrorCode } from "@tidemark/protocol/errors";
import type { CommandName, Duty } from "../commands.ts";
import type { Config } from "../config.ts";

/** The number of threads that run commands, one for each duty; they share the connections to PostgreSQL. */
export const COMMAND_THREADS = 3;

export interface WorkerSetup {
  config: Config;
  /** The duty of the commands that the thread runs; `checkpoint`: it only copies SQLite's write-ahead log. */
  duty: Duty | "checkpoint";
}

export interface Call {
  number: number;
  command: CommandName;
  args: unknown[];
}

export type Reply = { number: number; result: unknown } | { number: number; error: PlainError };

/** An error as plain data, because classes do not survive the copy between threads. */
export type PlainError =
  | { api: true; code: ErrorCode; message: string; details: Record<string, unknown>; cause?: string }
  | { api: false; message: string; stack: string };

export function toPlain(error: unknown): PlainError {
  if (error instanceof ApiError) {
    const { code, message, details, cause } = error;
    return { api: true, code, message, details, ...(cause ? { cause: String(cause) } : {}) };
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  return { api: false, message, stack: stack ?? message };
}

export function fromPlain(plain: PlainError): Error {
  if (plain.api) {
    const error = new ApiError(plain.code, plain.details, plain.message);
    error.cause = plain.cause;
    return error;
  }
  const error = new Error(plain.message);
  error.stack = plain.stack;
  return error;
}
