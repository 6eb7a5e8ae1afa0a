import type { Build } from "../storage/index-port.ts";
import type { Storage } from "../storage/port.ts";
import {
  type BuildSettings,
  type EmbeddingSettings,
  mustRebuild,
  sameSpace,
  settingsOf,
} from "./build-settings.ts";

/** The build that a store's index should become: the newest one that is not on its way out. */
export const newestBuild = (builds: Build[]): Build | undefined =>
  builds.findLast(({ state }) => state !== "retired");

/** Whether a store's index is, or becomes, what it should be. */
export function hasWantedBuild(builds: Build[], wanted: BuildSettings): boolean {
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
  return storage.ledger(storeId, async (tx) => {
    if (!(await tx.storeExists())) return false;
    const { index } = tx;
    const builds = await index.builds();
    const newest = newestBuild(builds);
    if (newest && !forced && !mustRebuild(settingsOf(newest), wanted)) return false;
    // Without a reason of its own, a new build keeps the model that the store has.
    const kept = newest && settingsOf(newest).embeddings;
    const embeddings = forced ? wanted.embeddings : (kept ?? wanted.embeddings);
    // An earlier build's vectors are its own, too: they are as long, and need not be made again.
    const earlier = ofSameSpace(embeddings, builds);
    const dimensions =
      embeddings?.dimensions ?? (earlier ? settingsOf(earlier).embeddings!.dimensions : null);
    const settings: BuildSettings = { ...wanted, embeddings: embeddings && { ...embeddings, dimensions } };
    for (const other of builds.filter(({ state }) => state === "building")) {
      await index.putBuild({ ...other, state: "retired" });
    }
    const build = (builds.at(-1)?.build ?? 0) + 1;
    await index.putBuild({
      build,
      state: newest ? "building" : "active",
      settings: JSON.stringify(settings),
      // A number that no space ever had: vectors outlive the rows of their builds.
      space: embeddings && (earlier?.space ?? build),
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

/** The build whose vectors those with these settings are compared with, and are the same for the same text. */
const ofSameSpace = (embeddings: EmbeddingSettings | null, builds: Build[]): Build | undefined =>
  builds.find((build) => build.space !== null && sameSpace(settingsOf(build).embeddings, embeddings));
