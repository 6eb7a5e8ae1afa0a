import { statSync } from "node:fs";
import { Command } from "commander";
import { readConfig } from "../../config.ts";
import { moveIntoPlace, mustBeNew, partialOf } from "../new-file.ts";
import { fail } from "../output.ts";

/** `tidemark backup` */
export function backupCommand(): Command {
  return new Command("backup")
    .description(
      `back up the SQLite database to a file, while a server runs or not

When the command ends, the copy is consistent, checked and on disk. Back up PostgreSQL with its own tools.`,
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
        await moveIntoPlace(path);
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
  return `The database is PostgreSQL. Back it up with: pg_dump --format=custom --schema=${schema} --file=${path} "${url.href}"`;
}
