import { Command } from "commander";
import { withDatabase } from "../database.ts";
import { idParser, jsonOption, organizationOption, parseName } from "../options.ts";
import { printObject } from "../output.ts";
import { listSubcommand, revokeSubcommand } from "../subcommands.ts";

/** `tidemark connector …` */
export function connectorCommand(): Command {
  const connector = new Command("connector").description(
    "manage connectors, each of which writes to one vector store",
  );
  organizationOption(connector.command("create"))
    .description("create a connector and its first key")
    .argument("<name>", "its name", parseName)
    .requiredOption("--store <id>", "the vector store that it writes to (vs_…)")
    .option("--id <id>", "its id (conn_…); default: a new one", idParser("conn"))
    .addOption(jsonOption())
    .action((name: string, options: { organization: string; store: string; id?: string; json: boolean }) =>
      withDatabase(async (commands) => {
        const { organization, store: storeId, id, json } = options;
        const connector = { name, storeId, ...(id ? { id } : {}) };
        printObject(await commands.createConnector(organization, connector, Date.now()), json);
      }),
    );
  connector.addCommand(
    listSubcommand(
      "list the connectors of an organization",
      (commands, ...page) => commands.listConnectors(...page),
      ["id", "name", "vector_store_id", "created_at"],
    ),
  );
  connector.addCommand(revokeSubcommand("connector"));
  return connector;
}
