import { Command } from "commander";
import { type FileOptions, withFileOptions } from "../options.ts";

/** `tidemark check` */
export function checkCommand(): Command {
  const command = new Command("check")
    .description(
      `check whether a namespace holds exactly the records of a file

Compares digests. If they differ, a dry run, which changes nothing, counts the differences.

Exit codes: 0 in sync; 1 error; 3 not in sync.`,
    )
    .argument("<file>", "the file: NDJSON, a JSON array or CSV");
  return withFileOptions(command).action(async (path: string, options: FileOptions) => {
    const { checkFile } = await import("../check-file.ts");
    await checkFile(path, options);
  });
}
