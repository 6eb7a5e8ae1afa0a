import type { RemovalLimit } from "@tidemark/client";
import { Command, InvalidArgumentError, Option } from "commander";
import { withFileOptions } from "../options.ts";
import type { SyncOptions } from "../sync-file.ts";

/** `tidemark sync` */
export function syncCommand(): Command {
  const command = new Command("sync")
    .description(
      `send the records of a file to a running server

The file is NDJSON, a JSON array or CSV; each row is a record's data. Without --full-refresh or --delete-missing, records are only added and changed. With one of them, the sync is rejected if it would remove more than half of a namespace of more than 100 records (--removal-limit).

Exit codes: 0 done; 1 error; 2 rejected by the removal limit, also with --dry-run; 3 not in sync with the file, because another writer changed the namespace.`,
    )
    .argument("<file>", "the file, or - for standard input (NDJSON by default)")
    .option("--full-refresh", "replace the whole namespace atomically", false)
    .addOption(
      new Option("--delete-missing", "at the end, delete the records that the file does not have")
        .default(false)
        .conflicts("fullRefresh"),
    )
    .option(
      "--removal-limit <limit>",
      "how many records may be removed: a number, a percentage such as 20%, or none for no limit",
      parseRemovalLimit,
    )
    .option("--dry-run", "show what would change, without changing it", false);
  return withFileOptions(command).action(async (path: string, options: SyncOptions) => {
    // Imported here because a starting server does not need it.
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
