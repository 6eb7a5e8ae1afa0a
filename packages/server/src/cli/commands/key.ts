import { Command, Option } from "commander";
import { withDatabase } from "../database.ts";
import { jsonOption, organizationOption, parseName } from "../options.ts";
import { printObject } from "../output.ts";
import { listSubcommand, revokeSubcommand } from "../subcommands.ts";

interface CreateOptions {
  role: "reader" | "admin";
  organization: string;
  store?: string;
  expires?: string;
  json: boolean;
}

/** `tidemark key …` */
export function keyCommand(): Command {
  const key = new Command("key").description("API keys of readers and admins; connectors bring their own");
  organizationOption(key.command("create"))
    .description("create a key for reading or for administration")
    .argument("[name]", "its name", parseName)
    .addOption(
      new Option("--role <role>", "what it may do").choices(["reader", "admin"]).makeOptionMandatory(),
    )
    .option("--store <id>", "the one vector store that a reader's key opens; without it: all")
    .option("--expires <date-time>", "when it stops working, such as 2027-01-01T00:00:00Z")
    .addOption(jsonOption())
    .action((name: string | undefined, options: CreateOptions) =>
      withDatabase(async (commands) => {
        const { role, organization, store, expires, json } = options;
        const wanted = {
          role,
          organizationId: organization,
          storeId: store ?? null,
          name: name ?? null,
          expiresAt: expires,
        };
        printObject(await commands.createOwnerKey(wanted, Date.now()), json);
      }),
    );
  key.addCommand(
    listSubcommand(
      "list all keys of an organization, those of its connectors too",
      (commands, ...page) => commands.listKeys(...page),
      ["id", "prefix", "role", "name", "connector_id", "expires_at", "revoked_at"],
    ),
  );
  key.addCommand(revokeSubcommand("key"));
  return key;
}
