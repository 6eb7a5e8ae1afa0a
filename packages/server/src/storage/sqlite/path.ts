import { fileURLToPath, pathToFileURL } from "node:url";

/** The path of a `file:` database URL, absolute or relative to the working directory. */
export function sqlitePath(databaseUrl: string): string {
  return fileURLToPath(new URL(databaseUrl, pathToFileURL(`${process.cwd()}/`)));
}
