import { ApiError } from "@tidemark/protocol/errors";
import type { List } from "@tidemark/protocol/management";
import { Command } from "commander";
import type { KeyOwner } from "../access/api-keys.ts";
import type { Commands } from "../commands.ts";
import type { PageRequest } from "../objects/pages.ts";
import { wholeList, withDatabase } from "./database.ts";
import { jsonOption, organizationOption } from "./options.ts";
import { printList } from "./output.ts";

/** `tidemark store|connector|key list`: prints a list of one organization. */
export function listSubcommand<T extends object>(
  description: string,
  readPage: (commands: Commands, organization: string, page: PageRequest) => Promise<List<T>>,
  columns: (keyof T & string)[],
): Command {
  return organizationOption(new Command("list"))
    .description(description)
    .addOption(jsonOption())
    .action(({ organization, json }: { organization: string; json: boolean }) =>
      withDatabase(async (commands) => {
        // A mistyped id must not look like an empty organization.
        if (!(await commands.findOrganization(organization))) {
          throw new ApiError("RESOURCE_NOT_FOUND", { id: organization });
        }
        printList(await wholeList((page) => readPage(commands, organization, page)), columns, json);
      }),
    );
}

/** `tidemark org|store|connector|key revoke ID`: a running server stops accepting the keys within 5 seconds. */
export function revokeSubcommand(owner: KeyOwner): Command {
  const keys = owner === "key" ? "a key" : `every key of a ${owner.replace("_", " ")}`;
  return new Command("revoke")
    .description(`revoke ${keys.replace("a organization", "an organization")}`)
    .argument("<id>")
    .addOption(jsonOption())
    .action((id: string, { json }: { json: boolean }) =>
      withDatabase(async (commands) => {
        const data = await commands.revokeKeys(owner, id, Date.now());
        printList(
          { object: "list", data, has_more: false, next_cursor: null },
          ["id", "prefix", "role", "revoked_at"],
          json,
        );
      }),
    );
}
