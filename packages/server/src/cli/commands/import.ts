import { createReadStream, statSync } from "node:fs";
import { Command } from "commander";
import { withStorage } from "../database.ts";

/** `tidemark import` */
export function importCommand(): Command {
  return new Command("import")
    .description(
      `import the vector stores of an export into this database, while a server runs or not

The stores become usable together, after the whole file was read and checked. After an interruption, the same command resumes. If one of the stores already exists, nothing is imported.`,
    )
    .argument("[file]", "the file of tidemark export, or - for standard input")
    .option("--discard <export>", "instead of importing, discard the unfinished import of an export (exp_…)")
    .action(async (path: string | undefined, { discard }: { discard?: string }, command: Command) => {
      if ((path === undefined) === (discard === undefined)) {
        command.error("error: give either a file or --discard <export>");
      }
      await (discard === undefined ? importFile(path!) : discardUnfinished(discard));
    });
}

function importFile(path: string): Promise<void> {
  return withStorage(async (storage) => {
    const total = path === "-" ? 0 : statSync(path).size;
    // Imported here because a starting server does not need them.
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
    const resumed = skipped > 0 ? `; ${skipped} were already imported` : "";
    console.log(`Imported ${stores} vector stores, ${rows} rows${resumed}. Check them with tidemark verify.`);
  });
}

function discardUnfinished(exportId: string): Promise<void> {
  return withStorage(async (storage) => {
    const { discardImport } = await import("../../transfer/unfinished.ts");
    const stores = await discardImport(storage, exportId);
    console.log(`Discarded the import of ${stores.join(", ") || exportId}.`);
  });
}
