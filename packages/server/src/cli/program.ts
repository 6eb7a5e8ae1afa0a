import { Command } from "commander";
import { VERSION } from "../version.ts";
import { backupCommand } from "./backup.ts";
import { checkCommand } from "./check.ts";
import { connectorCommand } from "./connector.ts";
import { doctorCommand } from "./doctor.ts";
import { exportCommand } from "./export.ts";
import { importCommand } from "./import.ts";
import { indexCommand } from "./indexing.ts";
import { keyCommand } from "./key.ts";
import { migrateCommand } from "./migrate.ts";
import { orgCommand } from "./org.ts";
import { searchCommand } from "./search.ts";
import { serveCommand } from "./serve.ts";
import { statusCommand } from "./status.ts";
import { storeCommand } from "./store.ts";
import { syncCommand } from "./sync.ts";
import { verifyCommand } from "./verify.ts";

/** The whole command line. */
export function commandLine(): Command {
  return new Command("tidemark")
    .description("Keeps a vector store level with its sources.")
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
