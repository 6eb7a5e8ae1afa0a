import { createReadStream, existsSync } from "node:fs";
import { open, truncate } from "node:fs/promises";
import { Command } from "commander";
import type { Storage } from "../../storage/port.ts";
import type { Exported, ExportOptions } from "../../transfer/export.ts";
import { VERSION } from "../../version.ts";
import { withStorage } from "../database.ts";
import { moveIntoPlace, mustBeNew, partialOf } from "../new-file.ts";
import type { TransferBar } from "../progress.ts";

/** `tidemark export` */
export function exportCommand(): Command {
  return new Command("export")
    .description(
      `write vector stores to a file for tidemark import, on any engine

The file has everything that belongs to the stores: records, tombstones, history, unfinished refreshes, and the keys of their organizations as hashes. Protect it like the database. Each store is read from one snapshot, without later syncs. After an interruption, the same command adds the missing stores.`,
    )
    .argument("<file>", "the file to write, or - for standard output")
    .option("--store <id>", "only this vector store (vs_…)")
    .action((path: string, { store }: { store?: string }) =>
      withStorage(async (storage) => {
        const options = { store, version: VERSION, now: Date.now() };
        const exported =
          path === "-" ? await toStandardOutput(storage, options) : await toFile(storage, path, options);
        const summary = `Exported ${exported.stores} vector stores, ${exported.rows} rows`;
        if (path === "-") console.error(`${summary}.`);
        else console.log(`${summary} to ${path}.`);
      }),
    );
}

async function toStandardOutput(storage: Storage, options: ExportOptions): Promise<Exported> {
  // Each write reports a closed pipe, so the event needs no other handler.
  process.stdout.on("error", () => {});
  const { promise: failed, reject } = Promise.withResolvers<never>();
  failed.catch(() => {});
  const write = (text: string) =>
    Promise.race([
      failed,
      new Promise<void>((resolve) => {
        process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
      }),
    ]);
  return exportWithBar(storage, write, options);
}

/** Writes to a partial file, and moves it to `path` when it is complete and on disk. */
async function toFile(storage: Storage, path: string, options: ExportOptions): Promise<Exported> {
  mustBeNew(path);
  const partial = partialOf(path);
  const { findResumable } = await import("../../transfer/resume.ts");
  const resume = existsSync(partial)
    ? await findResumable(storage, createReadStream(partial), options)
    : undefined;
  if (resume) {
    const { exported_at } = resume.header;
    console.error(`Resuming ${partial} of ${exported_at}, which has ${resume.stores.length} stores.`);
    await truncate(partial, resume.position.bytes);
  }
  // Only the owner may read it, because it has hashes of keys and the records' content.
  const file = await open(partial, resume ? "a" : "w", 0o600);
  const exported = await exportWithBar(storage, (text) => file.appendFile(text), {
    ...options,
    resume,
  }).finally(() => file.close());
  await moveIntoPlace(path);
  return exported;
}

async function exportWithBar(
  storage: Storage,
  write: (text: string) => Promise<void>,
  options: ExportOptions,
): Promise<Exported> {
  // Imported here because a starting server does not need them.
  const [{ exportStores }, { startTransferBar }] = await Promise.all([
    import("../../transfer/export.ts"),
    import("../progress.ts"),
  ]);
  let bar: TransferBar | undefined;
  const onProgress = (done: number, total: number) => {
    bar ??= startTransferBar(total);
    bar.show(done, done);
  };
  try {
    return await exportStores(storage, write, { ...options, onProgress });
  } finally {
    bar?.end();
  }
}
