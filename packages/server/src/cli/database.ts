import { ApiError } from "@tidemark/protocol/errors";
import type { List } from "@tidemark/protocol/management";
import type { PageRequest } from "../access/pages.ts";
import type { Commands } from "../commands.ts";
import { withStorage } from "./storage.ts";

/**
 * Runs a command of the machine's owner straight on the database, beside a server or without one. An error is one
 * line on standard error and exit code 1.
 */
export function withDatabase(work: (commands: Commands) => Promise<void>): Promise<void> {
  return withStorage(async (storage, config) => {
    // Loaded only now: a server that starts loads them in its threads.
    const { openCommands } = await import("../commands.ts");
    await work(openCommands(storage, config));
  });
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

/** Reads a whole list of an organization. @throws ApiError RESOURCE_NOT_FOUND: a mistyped id must not look empty */
export async function wholeListOf<T>(
  commands: Commands,
  organization: string,
  readPage: (request: PageRequest) => Promise<List<T>>,
): Promise<List<T>> {
  if (!(await commands.findOrganization(organization))) {
    throw new ApiError("RESOURCE_NOT_FOUND", { id: organization });
  }
  return wholeList(readPage);
}
