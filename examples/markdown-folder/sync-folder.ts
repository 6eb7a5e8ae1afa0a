/**
 * Keeps a namespace in sync with a folder of Markdown files. It prints what changed, and nothing if nothing changed,
 * which suits cron: see README.md.
 *
 *   node sync-folder.ts FOLDER [--namespace notes] [--removal-limit 50%|20|none]
 */
import { parseArgs } from "node:util";
import { type RemovalLimit, type SyncAllOptions, Tidemark, TidemarkError } from "@tidemark/client";
import { readNotes } from "./notes.ts";

try {
  process.exitCode = await syncFolder();
} catch (error) {
  console.error(`sync-folder: ${(error as Error).message}`);
  process.exitCode = 1;
  if (error instanceof TidemarkError && error.is("REMOVAL_LIMIT_EXCEEDED")) {
    for (const { cleared, records } of error.details.namespaces) {
      console.error(`${cleared} of ${records} notes would be removed. Nothing was changed.`);
    }
    process.exitCode = 2;
  }
}

/** @returns the exit code */
async function syncFolder(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      namespace: { type: "string", default: "notes" },
      "removal-limit": { type: "string", default: "50%" },
    },
  });
  const [folder] = positionals;
  if (folder === undefined || positionals.length > 1) throw new Error("Name one folder.");
  const tidemark = new Tidemark({
    url: setting("TIDEMARK_URL"),
    apiKey: setting("TIDEMARK_API_KEY"),
    organizationId: setting("TIDEMARK_ORGANIZATION"),
    vectorStoreId: setting("TIDEMARK_STORE"),
  });
  const options: SyncAllOptions = {
    mode: "full_refresh",
    namespace: values.namespace,
    removalLimit: readLimit(values["removal-limit"]),
    // If the server rejects a note, the note stays as it was, and the others are synced.
    onError: "continue",
  };

  // The plan has the ids of the notes; the sync has the counts.
  const { samples } = await tidemark.plan(readNotes(folder), options);
  const { changes, errors, failed, inSync } = await tidemark.syncAll(readNotes(folder), options);
  const shown = [
    ["created", changes.created, samples.created],
    ["updated", changes.updated, samples.updated],
    ["removed", changes.cleared, samples.cleared],
  ] as const;
  for (const [what, count, ids = []] of shown) {
    for (const id of ids) console.log(`${what}  ${id}`);
    if (count > ids.length) console.log(`${what}  ${count - ids.length} more`);
  }
  for (const { id, message } of errors) console.error(`sync-folder: ${id}: ${message}`);
  if (failed > 0) return 1;
  if (inSync !== true)
    console.error(`sync-folder: ${values.namespace} is not in sync: something else wrote it.`);
  return inSync === true ? 0 : 3;
}

function readLimit(text: string): RemovalLimit {
  if (text === "none") return false;
  if (!/^\d+%?$/.test(text))
    throw new Error("A removal limit is a number, a percentage such as 20%, or none.");
  return text.endsWith("%") ? `${Number.parseInt(text, 10)}%` : Number(text);
}

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`Set ${name}.`);
  return value;
}
