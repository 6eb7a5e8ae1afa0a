import { Command } from "commander";
import { withDatabase } from "../database.ts";
import { idParser, jsonOption, organizationOption, parseName } from "../options.ts";
import { printObject } from "../output.ts";
import { listSubcommand, revokeSubcommand } from "../subcommands.ts";

/** `tidemark store …` */
export function storeCommand(): Command {
  const store = new Command("store").description("manage vector stores");
  organizationOption(store.command("create"))
    .description("create a vector store")
    .argument("<name>", "its name", parseName)
    .option("--id <id>", "its id (vs_…); default: a new one", idParser("vs"))
    .option("--description <text>", "its description")
    .addOption(jsonOption())
    .action(
      (name: string, options: { organization: string; id?: string; description?: string; json: boolean }) =>
        withDatabase(async (commands) => {
          const { organization, json, ...rest } = options;
          printObject(await commands.createVectorStore(organization, { name, ...rest }, Date.now()), json);
        }),
    );
  store.addCommand(
    listSubcommand(
      "list the vector stores of an organization",
      (commands, ...page) => commands.listVectorStores(...page),
      ["id", "name", "record_count", "created_at"],
    ),
  );
  store.addCommand(revokeSubcommand("vector_store"));
  return store;
}
