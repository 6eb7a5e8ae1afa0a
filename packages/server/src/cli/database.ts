import type { List, Organization, VectorStore } from "@tidemark/protocol/management";
import type { Commands } from "../commands.ts";
import { type Config, readConfig } from "../config.ts";
import type { PageRequest } from "../objects/pages.ts";
import type { Storage } from "../storage/port.ts";
import { fail } from "./output.ts";

/**
 * Opens the database, runs `work` on it and closes it; servers may use the database at the same time.
 * An error becomes one line on standard error and exit code 1.
 */
export async function withStorage(work: (storage: Storage, config: Config) => Promise<void>): Promise<void> {
  try {
    const config = readConfig();
    const { openStorage } = await import("../storage/open.ts");
    const storage = await openStorage(config.databaseUrl, { timeoutMs: config.databaseTimeoutMs });
    try {
      await work(storage, config);
    } finally {
      await storage.close();
    }
  } catch (error) {
    fail(error);
  }
}

/** Runs a command on the database as {@link withStorage} does. */
export function withDatabase(work: (commands: Commands, config: Config) => Promise<void>): Promise<void> {
  return withStorage(async (storage, config) => {
    // Imported here because a starting server loads the commands in its threads only.
    const { openCommands } = await import("../commands.ts");
    await work(openCommands(storage, config), config);
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

/** Lists every store, or only `storeId`. @throws Error if no store has that id */
export async function everyStore(
  commands: Commands,
  storeId: string | undefined,
): Promise<{ organization: Organization; store: VectorStore }[]> {
  const matches: { organization: Organization; store: VectorStore }[] = [];
  const organizations = await wholeList((page) => commands.listOrganizations(page));
  for (const organization of organizations.data) {
    const stores = await wholeList((page) => commands.listVectorStores(organization.id, page));
    for (const store of stores.data) {
      if (storeId === undefined || store.id === storeId) matches.push({ organization, store });
    }
  }
  if (storeId !== undefined && matches.length === 0) throw new Error(`There is no vector store ${storeId}.`);
  return matches;
}
