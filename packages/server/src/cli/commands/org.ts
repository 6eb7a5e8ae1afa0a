import { Command } from "commander";
import { wholeList, withDatabase } from "../database.ts";
import { idParser, jsonOption, parseName } from "../options.ts";
import { printList, printObject } from "../output.ts";
import { revokeSubcommand } from "../subcommands.ts";

/** `tidemark org …` */
export function orgCommand(): Command {
  const org = new Command("org").description("manage organizations");
  org
    .command("create")
    .description("create an organization")
    .argument("<name>", "its name", parseName)
    .option("--id <id>", "its id (org_…); default: a new one", idParser("org"))
    .addOption(jsonOption())
    .action((name: string, { id, json }: { id?: string; json: boolean }) =>
      withDatabase(async (commands) => {
        const created = await commands.createOrganization({ name, ...(id ? { id } : {}) }, Date.now());
        printObject(created, json);
      }),
    );
  org
    .command("list")
    .description("list the organizations")
    .addOption(jsonOption())
    .action(({ json }: { json: boolean }) =>
      withDatabase(async (commands) => {
        const list = await wholeList((page) => commands.listOrganizations(page));
        printList(list, ["id", "name", "created_at"], json);
      }),
    );
  org.addCommand(revokeSubcommand("organization"));
  return org;
}
