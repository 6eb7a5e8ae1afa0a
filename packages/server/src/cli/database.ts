import { ApiError, type FieldError } from "@tidemark/protocol/errors";
import type { List } from "@tidemark/protocol/management";
import type { PageRequest } from "../access/pages.ts";
import { type Commands, openCommands } from "../commands.ts";
import { readConfig } from "../config.ts";
import { openStorage } from "../storage/open.ts";

/**
 * Runs a command of the machine's owner straight on the database, beside a server or without one. An error is one
 * line on standard error and exit code 1.
 */
export async function withDatabase(work: (commands: Commands) => Promise<void>): Promise<void> {
  try {
    const config = readConfig();
    const storage = await openStorage(config.databaseUrl);
    try {
      await work(openCommands(storage, config));
    } finally {
      await storage.close();
    }
  } catch (error) {
    fail(error);
  }
}

/** Reports an error to the person at the terminal, and makes the process end with 1. */
export function fail(error: unknown): void {
  const { message } = error as Error;
  const id = error instanceof ApiError ? error.details.id : undefined;
  console.error(`tidemark: ${message}${id === undefined ? "" : ` (${id})`}`);
  const errors = error instanceof ApiError ? (error.details.errors as FieldError[] | undefined) : undefined;
  for (const { field, message } of errors?.slice(1) ?? []) console.error(`tidemark: ${field}: ${message}`);
  process.exitCode = 1;
}

/** Reads every page of a list into one. */
export async function wholeList<T>(readPage: (request: PageRequest) => Promise<List<T>>): Promise<List<T>> {
  const data: T[] = [];
  let cursor: string | null | undefined;
  do {
    const page = await readPage(cursor ? { limit: 100, cursor } : { limit: 100 });
    data.push(...page.data);
    cursor = page.next_cursor;
  } while (cursor);
  return { object: "list", data, has_more: false, next_cursor: null };
}
