import type { BrowseName } from "./commands.ts";

/** True for functions that change something: they take turns with the syncs. */
export function isBrowseWrite(name: BrowseName): boolean {
  return name === "giveUpRefresh" || name === "retryFailed";
}
