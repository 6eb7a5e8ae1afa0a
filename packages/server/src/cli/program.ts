import { Command } from "commander";
import { VERSION } from "../version.ts";
import { connectorCommand } from "./connector.ts";
import { keyCommand } from "./key.ts";
import { orgCommand } from "./org.ts";
import { serveCommand } from "./serve.ts";
import { statusCommand } from "./status.ts";
import { storeCommand } from "./store.ts";
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
    .addCommand(statusCommand())
    .addCommand(verifyCommand());
}
