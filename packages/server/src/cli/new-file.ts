import { existsSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Where a file is written before it is whole. */
export const partialOf = (path: string): string => `${path}.partial`;

/** @throws Error if there is such a file: none is ever overwritten */
export function mustBeNew(path: string): void {
  if (existsSync(path)) throw new Error(`${path} exists already.`);
}

/** Puts a file that is whole in its place; when it resolves, it is on disk under its name. */
export async function settle(path: string): Promise<void> {
  const file = await open(partialOf(path), "r+");
  await file.sync().finally(() => file.close());
  mustBeNew(path);
  await rename(partialOf(path), path);
  // Windows has no such thing.
  if (process.platform === "win32") return;
  const folder = await open(dirname(path), "r");
  await folder.sync().finally(() => folder.close());
}
