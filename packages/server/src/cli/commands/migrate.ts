import { Command } from "commander";
import { readConfig } from "../../config.ts";
import { jsonOption } from "../options.ts";
import { fail } from "../output.ts";

/** `tidemark migrate` */
export function migrateCommand(): Command {
  return new Command("migrate")
    .description("bring the database's schema up to date, as a server does when it starts")
    .option("--citus", "distribute the tables and their rows over the Citus cluster", false)
    .addOption(jsonOption())
    .action(async ({ citus, json }: { citus: boolean; json: boolean }) => {
      try {
        const { migrateDatabase } = await import("../../storage/open.ts");
        const { from, to, distributed } = await migrateDatabase(readConfig().databaseUrl, { citus });
        if (json) {
          console.log(JSON.stringify({ from, to, distributed }, null, 2));
          return;
        }
        console.log(
          from === to ? `The schema is up to date (${to}).` : `Migrated the schema from ${from} to ${to}.`,
        );
        if (distributed.length > 0) console.log(`Distributed over Citus: ${distributed.join(", ")}.`);
        else if (citus) console.log("All tables were already distributed.");
      } catch (error) {
        fail(error);
      }
    });
}
