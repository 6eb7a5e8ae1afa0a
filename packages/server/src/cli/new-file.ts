import { existsSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** The path of a file until it is complete. */
export const partialOf = (path: string): string => `${path}.partial`;

/** @throws Error if the file exists: commands never overwrite files */
export function mustBeNew(path: string): void {
  if (existsSync(path)) throw new Error(`${path} already exists.`);
}

/** Moves a complete file to its final path; resolves when the file is on disk there. */
export async function moveIntoPlace(path: string): Promise<void> {
  const file = await open(partialOf(path), "r+");
  await file.sync().finally(() => file.close());
  mustBeNew(path);
  await rename(partialOf(path), path);
  // Windows cannot sync a folder.
  if (process.platform === "win32") return;
  const folder = await open(dirname(path), "r");
  await folder.sync().finally(() => folder.close());
}
