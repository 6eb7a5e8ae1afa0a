import { Command } from "commander";
import { VERSION } from "../version.ts";
import { backupCommand } from "./commands/backup.ts";
import { checkCommand } from "./commands/check.ts";
import { connectorCommand } from "./commands/connector.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { exportCommand } from "./commands/export.ts";
import { importCommand } from "./commands/import.ts";
import { indexCommand } from "./commands/indexing.ts";
import { keyCommand } from "./commands/key.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { orgCommand } from "./commands/org.ts";
import { searchCommand } from "./commands/search.ts";
import { serveCommand } from "./commands/serve.ts";
import { statusCommand } from "./commands/status.ts";
import { storeCommand } from "./commands/store.ts";
import { syncCommand } from "./commands/sync.ts";
import { verifyCommand } from "./commands/verify.ts";

/** The whole command line. */
export function commandLine(): Command {
  return new Command("tidemark")
    .description("Keeps a vector store in sync with its sources.")
    .version(VERSION)
    .showHelpAfterError()
    .addCommand(serveCommand())
    .addCommand(orgCommand())
    .addCommand(storeCommand())
    .addCommand(connectorCommand())
    .addCommand(keyCommand())
    .addCommand(migrateCommand())
    .addCommand(statusCommand())
    .addCommand(verifyCommand())
    .addCommand(indexCommand())
    .addCommand(syncCommand())
    .addCommand(checkCommand())
    .addCommand(searchCommand())
    .addCommand(exportCommand())
    .addCommand(importCommand())
    .addCommand(backupCommand())
    .addCommand(doctorCommand());
}
