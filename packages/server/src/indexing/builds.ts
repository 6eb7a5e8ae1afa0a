import type { BuildSettings, EmbeddingSettings } from "../storage/build-settings.ts";
import type { Build } from "../storage/index-port.ts";
import type { Storage } from "../storage/port.ts";
import { mustRebuild, sameSpace } from "./build-settings.ts";

/** The build that a store's index should become: the newest one that is not on its way out. */
export const newestBuild = (builds: Build[]): Build | undefined =>
  builds.findLast(({ state }) => state !== "retired");

/** Whether a store's index is, or becomes, what it should be. */
export function hasWantedBuild(builds: Build[], target: BuildSettings): boolean {
  const newest = newestBuild(builds);
  return newest !== undefined && !mustRebuild(newest.settings, target);
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
  target: BuildSettings,
  { now, forced }: { now: number; forced: boolean },
): Promise<boolean> {
  return storage.ledger(storeId, async (tx) => {
    if (!(await tx.storeExists())) return false;
    const { index } = tx;
    const builds = await index.builds();
    const newest = newestBuild(builds);
    if (newest && !forced && !mustRebuild(newest.settings, target)) return false;
    // Without a reason of its own, a new build keeps the model that the store has.
    const kept = newest?.settings.embeddings;
    const embeddings = forced ? target.embeddings : (kept ?? target.embeddings);
    // An earlier build's vectors are its own, too: they are as long, and need not be made again.
    const earlier = ofSameSpace(embeddings, builds);
    const dimensions = embeddings?.dimensions ?? earlier?.settings.embeddings?.dimensions ?? null;
    const settings: BuildSettings = { ...target, embeddings: embeddings && { ...embeddings, dimensions } };
    for (const unfinished of builds.filter(({ state }) => state === "building")) {
      await index.putBuild({ ...unfinished, state: "retired" });
    }
    const build = (builds.at(-1)?.build ?? 0) + 1;
    await index.putBuild({
      build,
      state: newest ? "building" : "active",
      settings,
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
  builds.find((build) => build.space !== null && sameSpace(build.settings.embeddings, embeddings));
