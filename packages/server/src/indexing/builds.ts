import type { Build } from "../storage/index-port.ts";
import type { Storage } from "../storage/port.ts";
import { type BuildSettings, mustRebuild, sameSpace, settingsOf } from "./build-settings.ts";

/** The build that a store's index should become: the newest one that is not on its way out. */
export const newestBuild = (builds: Build[]): Build | undefined =>
  builds.findLast(({ state }) => state !== "retired");

/** Whether a store's index is, or becomes, what it should be. */
export function isLevel(builds: Build[], wanted: BuildSettings): boolean {
  const newest = newestBuild(builds);
  return newest !== undefined && !mustRebuild(settingsOf(newest), wanted);
}

/**
 * Begins the build that a store needs: its first, which serves at once, or one that replaces another when it has
 * every record.
 * @param forced begins one in any case, with another model too
 * @returns true if there was something to do
 */
export function beginBuild(
  storage: Storage,
  storeId: string,
  wanted: BuildSettings,
  { now, forced }: { now: number; forced: boolean },
): Promise<boolean> {
  return storage.ledger(storeId, async ({ index, storeExists }) => {
    void storeExists;
    const builds = await index.builds();
    const newest = newestBuild(builds);
    if (newest && !forced && !mustRebuild(settingsOf(newest), wanted)) return false;
    // Without a reason of its own, a new build keeps the model that the store has.
    const kept = newest && settingsOf(newest).embeddings;
    const settings: BuildSettings = {
      ...wanted,
      embeddings: forced ? wanted.embeddings : (kept ?? wanted.embeddings),
    };
    for (const other of builds.filter(({ state }) => state === "building")) {
      await index.putBuild({ ...other, state: "retired" });
    }
    await index.putBuild({
      build: (builds.at(-1)?.build ?? 0) + 1,
      state: newest ? "building" : "active",
      settings: JSON.stringify(settings),
      space: spaceOf(settings, builds),
      nextChunk: 0,
      nextSegment: 0,
      chunks: 0,
      terms: 0,
      walked: null,
      createdAt: now,
    });
    return true;
  });
}

/** Where its vectors are compared: with those of an earlier build of the same model, which need not be made again. */
function spaceOf({ embeddings }: BuildSettings, builds: Build[]): number | null {
  if (embeddings === null) return null;
  const earlier = builds.find(
    ({ space, ...build }) => space !== null && sameSpace(settingsOf(build).embeddings, embeddings),
  );
  return earlier?.space ?? Math.max(0, ...builds.map(({ space }) => space ?? 0)) + 1;
}
