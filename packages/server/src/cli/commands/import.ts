import { createReadStream, statSync } from "node:fs";
import { Command } from "commander";
import { withStorage } from "../database.ts";

/** `tidemark import` */
export function importCommand(): Command {
  return new Command("import")
    .description(
      `bring the stores of an export into this database, beside a server or without one

Nobody can use the stores before the whole file was read and found right; then all of them at once. Interrupted, the same command goes on. A store that exists already is refused, and nothing is imported.`,
    )
    .argument("[file]", "what tidemark export wrote, or - for standard input")
    .option("--discard <export>", "instead: remove what an unfinished import brought (exp_…)")
    .action(async (path: string | undefined, { discard }: { discard?: string }, command: Command) => {
      if ((path === undefined) === (discard === undefined)) {
        command.error("error: give a file, or --discard and the id of an export");
      }
      await (discard === undefined ? importFile(path!) : removeUnfinished(discard));
    });
}

function importFile(path: string): Promise<void> {
  return withStorage(async (storage) => {
    const total = path === "-" ? 0 : statSync(path).size;
    // Loaded only now: a server that starts has no use for them.
    const [{ importStores }, { startTransferBar }] = await Promise.all([
      import("../../transfer/import.ts"),
      import("../progress.ts"),
    ]);
    const bar = startTransferBar(total);
    let bytes = 0;
    async function* counted(source: AsyncIterable<Buffer>) {
      for await (const chunk of source) {
        bytes += chunk.length;
        yield chunk;
      }
    }
    const source = path === "-" ? process.stdin : createReadStream(path, { highWaterMark: 256 * 1024 });
    const { stores, rows, skipped } = await importStores(storage, counted(source), Date.now(), (rows) =>
      bar.show(bytes, rows),
    ).finally(() => bar.end());
    const before = skipped > 0 ? `; ${skipped} were there already` : "";
    console.log(`Imported ${stores} vector stores, ${rows} rows${before}. tidemark verify checks them.`);
  });
}

function removeUnfinished(exportId: string): Promise<void> {
  return withStorage(async (storage) => {
    const { discardImport } = await import("../../transfer/unfinished.ts");
    const stores = await discardImport(storage, exportId);
    console.log(`Removed what was imported of ${stores.join(", ") || exportId}.`);
  });
}
