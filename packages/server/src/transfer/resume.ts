import { isDeepStrictEqual } from "node:util";
import type { Storage } from "../storage/port.ts";
import { type ExportOptions, makeHeader, readRevision } from "./export.ts";
import { type ExportHeader, readExport } from "./format.ts";

/**
 * What an interrupted export can keep: its first stores that are complete and that no sync has changed since.
 * @param source the bytes that were written
 * @returns undefined if the export must start over, for example because a store was created or deleted
 */
export async function findResumable(
  storage: Storage,
  source: AsyncIterable<Buffer>,
  options: Pick<ExportOptions, "store" | "version" | "now">,
): Promise<ExportOptions["resume"]> {
  let resumable: ExportOptions["resume"];
  try {
    for await (const event of readExport(source)) {
      if (event.type === "header") {
        const { header, position } = event;
        if (!isSameWork(header, await makeHeader(storage, options))) return undefined;
        resumable = { header, stores: [], position };
      } else if (event.type === "storeEnd") {
        const { id, revision, position } = event;
        if ((await storage.read((sql) => readRevision(sql, id))) !== revision) break;
        resumable = { header: resumable!.header, stores: [...resumable!.stores, id], position };
      }
    }
  } catch (error) {
    // The file ends where the export was interrupted. A database error occurs again when the export continues.
    if (!(error instanceof Error)) throw error;
  }
  return resumable && resumable.stores.length > 0 ? resumable : undefined;
}

function isSameWork(written: ExportHeader, current: ExportHeader): boolean {
  const { export_id, exported_at } = written;
  return isDeepStrictEqual(written, { ...current, export_id, exported_at });
}
