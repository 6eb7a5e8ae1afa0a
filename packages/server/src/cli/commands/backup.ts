import { statSync } from "node:fs";
import { Command } from "commander";
import { readConfig } from "../../config.ts";
import { mustBeNew, partialOf, settle } from "../new-file.ts";
import { fail } from "../output.ts";

/** `tidemark backup` */
export function backupCommand(): Command {
  return new Command("backup")
    .description(
      `write a copy of the SQLite database, beside a running server or without one

The copy is consistent, checked, and on disk when the command ends. PostgreSQL is backed up with its own tools.`,
    )
    .argument("<file>", "the file to write")
    .action(async (path: string) => {
      try {
        const { databaseUrl } = readConfig();
        const { isSqlite } = await import("../../storage/open.ts");
        if (!isSqlite(databaseUrl)) throw new Error(await describePostgresBackup(databaseUrl, path));
        mustBeNew(path);
        const { backUpSqlite } = await import("../../storage/sqlite/backup.ts");
        backUpSqlite(databaseUrl, partialOf(path));
        await settle(path);
        console.log(`Backed up to ${path} (${Math.ceil(statSync(path).size / 1024)} KiB).`);
      } catch (error) {
        fail(error);
      }
    });
}

async function describePostgresBackup(databaseUrl: string, path: string): Promise<string> {
  const { readPostgresUrl } = await import("../../storage/postgres/url.ts");
  const { connectionString, schema } = readPostgresUrl(databaseUrl);
  const url = new URL(connectionString);
  url.password = "";
  return `The database is PostgreSQL; back it up with: pg_dump --format=custom --schema=${schema} --file=${path} "${url.href}"`;
}
