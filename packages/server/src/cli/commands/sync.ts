import type { RemovalLimit } from "@tidemark/client";
import { Command, InvalidArgumentError, Option } from "commander";
import { withFileOptions } from "../options.ts";
import type { SyncOptions } from "../sync-file.ts";

/** `tidemark sync` */
export function syncCommand(): Command {
  const command = new Command("sync")
    .description(
      `send the records of a file to a running server

The file is NDJSON, a JSON array or CSV; each row is a record's data. Without --full-refresh or --delete-missing, records are added and changed, and none is removed. A full refresh or --delete-missing that would remove more than half of a namespace of more than 100 records is refused (--removal-limit).

Exit codes: 0 done; 1 an error; 2 refused by the removal limit, also with --dry-run; 3 the namespace does not hold what the file says, because something else wrote it.`,
    )
    .argument("<file>", "the file, or - for standard input (NDJSON unless --format says otherwise)")
    .option("--full-refresh", "replace the namespace in one instant", false)
    .addOption(
      new Option("--delete-missing", "delete what the file does not have, at the end")
        .default(false)
        .conflicts("fullRefresh"),
    )
    .option("--removal-limit <limit>", "how many records may go: a number, 20%, or none", parseRemovalLimit)
    .option("--dry-run", "say what would happen, change nothing that is seen", false);
  return withFileOptions(command).action(async (path: string, options: SyncOptions) => {
    // Loaded only now: a server that starts has no use for it.
    const { syncFile } = await import("../sync-file.ts");
    await syncFile(path, options);
  });
}

function parseRemovalLimit(text: string): RemovalLimit {
  if (text === "none") return false;
  if (/^\d+$/.test(text)) return Number(text);
  if (/^(100|[1-9]?\d)(\.\d{1,6})?%$/.test(text)) return text as RemovalLimit;
  throw new InvalidArgumentError("It must be a number, a percentage up to 100%, or none.");
}
