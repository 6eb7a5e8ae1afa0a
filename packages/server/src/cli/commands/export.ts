import { createReadStream, existsSync } from "node:fs";
import { open, truncate } from "node:fs/promises";
import { Command } from "commander";
import type { Storage } from "../../storage/port.ts";
import type { Exported, ExportOptions } from "../../transfer/export.ts";
import { VERSION } from "../../version.ts";
import { withStorage } from "../database.ts";
import { mustBeNew, partialOf, settle } from "../new-file.ts";
import type { TransferBar } from "../progress.ts";

/** `tidemark export` */
export function exportCommand(): Command {
  return new Command("export")
    .description(
      `write stores to a file, to be imported on any engine

The file has all that belongs to the stores: records, tombstones, history, unfinished refreshes, and the keys of their organizations as hashes. Keep it as you keep the database. Each store is read from one snapshot; syncs that come later are not in it. Interrupted, the same command goes on with the stores that are missing.`,
    )
    .argument("<file>", "the file to write, or - for standard output")
    .option("--store <id>", "this vector store alone (vs_…)")
    .action((path: string, { store }: { store?: string }) =>
      withStorage(async (storage) => {
        const options = { store, version: VERSION, now: Date.now() };
        const exported =
          path === "-" ? await toStandardOutput(storage, options) : await toFile(storage, path, options);
        const what = `Exported ${exported.stores} vector stores, ${exported.rows} rows`;
        if (path === "-") console.error(`${what}.`);
        else console.log(`${what} to ${path}.`);
      }),
    );
}

async function toStandardOutput(storage: Storage, options: ExportOptions): Promise<Exported> {
  // A reader that has gone away is told by each write, too.
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

/** Writes beside the file and puts it in its place when it is whole and on disk. */
async function toFile(storage: Storage, path: string, options: ExportOptions): Promise<Exported> {
  mustBeNew(path);
  const partial = partialOf(path);
  const { findResumable } = await import("../../transfer/resume.ts");
  const resume = existsSync(partial)
    ? await findResumable(storage, createReadStream(partial), options)
    : undefined;
  if (resume) {
    const { exported_at } = resume.header;
    console.error(`Going on with ${partial} of ${exported_at}: ${resume.stores.length} stores are in it.`);
    await truncate(partial, resume.position.bytes);
  }
  // It has hashes of keys and what records say.
  const file = await open(partial, resume ? "a" : "w", 0o600);
  const exported = await exportWithBar(storage, (text) => file.appendFile(text), {
    ...options,
    resume,
  }).finally(() => file.close());
  await settle(path);
  return exported;
}

async function exportWithBar(
  storage: Storage,
  write: (text: string) => Promise<void>,
  options: ExportOptions,
): Promise<Exported> {
  // Loaded only now: a server that starts has no use for them.
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
