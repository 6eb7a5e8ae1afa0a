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
  const key = new Command("key").description(
    "manage API keys of readers and admins; connectors have their own",
  );
  organizationOption(key.command("create"))
    .description("create a reader's or an admin's key")
    .argument("[name]", "its name", parseName)
    .addOption(
      new Option("--role <role>", "what the key may do").choices(["reader", "admin"]).makeOptionMandatory(),
    )
    .option("--store <id>", "the one vector store that a reader's key opens; default: all")
    .option("--expires <date-time>", "when the key expires, such as 2027-01-01T00:00:00Z")
    .addOption(jsonOption())
    .action((name: string | undefined, options: CreateOptions) =>
      withDatabase(async (commands) => {
        const { role, organization, store, expires, json } = options;
        const newKey = {
          role,
          organizationId: organization,
          storeId: store ?? null,
          name: name ?? null,
          expiresAt: expires,
        };
        printObject(await commands.createOwnerKey(newKey, Date.now()), json);
      }),
    );
  key.addCommand(
    listSubcommand(
      "list all keys of an organization, including its connectors' keys",
      (commands, ...page) => commands.listKeys(...page),
      ["id", "prefix", "role", "name", "connector_id", "expires_at", "revoked_at"],
    ),
  );
  key.addCommand(revokeSubcommand("key"));
  return key;
}
