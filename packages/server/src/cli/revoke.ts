import { Command } from "commander";
import type { KeyOwner } from "../access/api-keys.ts";
import { withDatabase } from "./database.ts";
import { jsonOption } from "./options.ts";
import { printList } from "./output.ts";

/** `tidemark org|store|connector|key revoke ID`: a running server stops accepting the keys within 5 seconds. */
export function revokeSubcommand(owner: KeyOwner): Command {
  const what = owner === "key" ? "a key" : `every key of a ${owner.replace("_", " ")}`;
  return new Command("revoke")
    .description(`revoke ${what.replace("a organization", "an organization")}`)
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
