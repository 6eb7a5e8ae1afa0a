import type { Storage } from "./port.ts";
import { openSqlite } from "./sqlite/sqlite.ts";

/**
 * Opens the engine that a database URL names, and brings its schema up to date.
 * @throws Error for a URL of no engine
 */
export async function openStorage(
  databaseUrl: string,
  options: { backgroundCheckpoints?: boolean } = {},
): Promise<Storage> {
  if (databaseUrl.startsWith("file:")) return openSqlite(databaseUrl, options);
  throw new Error("TIDEMARK_DATABASE_URL must begin with file: (such as file:./tidemark-data/tidemark.db).");
}
