import { isDeepStrictEqual } from "node:util";
import type { Storage } from "../storage/port.ts";
import { type ExportOptions, makeHeader, readRevision } from "./export.ts";
import { type ExportHeader, readExport } from "./format.ts";

/**
 * Finds what of an interrupted export can stay: its first stores, as far as they are whole and no sync has changed them
 * since.
 * @param source the bytes that were written
 * @returns undefined to begin anew, as when a store has come or gone since
 */
export async function findResumable(
  storage: Storage,
  source: AsyncIterable<Buffer>,
  options: Pick<ExportOptions, "store" | "version" | "now">,
): Promise<ExportOptions["resume"]> {
  let found: ExportOptions["resume"];
  try {
    for await (const event of readExport(source)) {
      if (event.type === "header") {
        const { header, position } = event;
        if (!isSameWork(header, await makeHeader(storage, options))) return undefined;
        found = { header, stores: [], position };
      } else if (event.type === "storeEnd") {
        const { id, revision, position } = event;
        if ((await storage.read((sql) => readRevision(sql, id))) !== revision) break;
        found = { header: found!.header, stores: [...found!.stores, id], position };
      }
    }
  } catch (error) {
    // It ends where it was interrupted. An error of the database is met again by whoever writes.
    if (!(error instanceof Error)) throw error;
  }
  return found && found.stores.length > 0 ? found : undefined;
}

function isSameWork(one: ExportHeader, two: ExportHeader): boolean {
  const { export_id, exported_at, ...rest } = one;
  return isDeepStrictEqual({ export_id, exported_at, ...rest }, { ...two, export_id, exported_at });
}
