import { Command } from "commander";
import { type FileOptions, withFileOptions } from "../options.ts";

/** `tidemark check` */
export function checkCommand(): Command {
  const command = new Command("check")
    .description(
      `say whether a namespace holds exactly the records of a file

Compares digests. Only if they differ, the records are sent as a dry run, which changes nothing, to count what differs.

Exit codes: 0 in sync; 1 an error; 3 not in sync.`,
    )
    .argument("<file>", "the file: NDJSON, a JSON array or CSV");
  return withFileOptions(command).action(async (path: string, options: FileOptions) => {
    const { checkFile } = await import("../check-file.ts");
    await checkFile(path, options);
  });
}
