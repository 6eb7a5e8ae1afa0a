import type { BuildSettings, EmbeddingSettings } from "../storage/build-settings.ts";
import type { Build } from "../storage/index-port.ts";
import type { Storage } from "../storage/port.ts";
import { mustRebuild, sameSpace } from "./build-settings.ts";

/** A store's newest build that is not retired: the one that serves, or is going to. */
export const newestBuild = (builds: Build[]): Build | undefined =>
  builds.findLast(({ state }) => state !== "retired");

/** Whether a store's newest build has the target settings. */
export function hasWantedBuild(builds: Build[], target: BuildSettings): boolean {
  const newest = newestBuild(builds);
  return newest !== undefined && !mustRebuild(newest.settings, target);
}

/**
 * Begins the build that a store needs: its first, which serves immediately, or one that replaces the active build once
 * it has every record.
 * @param forced begins a build even if none is needed, with the target's model
 * @returns true if a build was begun
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
    // Only a forced build changes the model.
    const current = newest?.settings.embeddings;
    const embeddings = forced ? target.embeddings : (current ?? target.embeddings);
    // A build of the same space reuses the vectors of the earlier one.
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
      // A new space takes its build's number, which no space had before: vectors outlive the rows of their builds.
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

/** A build whose vectors can be reused for these settings. */
const ofSameSpace = (embeddings: EmbeddingSettings | null, builds: Build[]): Build | undefined =>
  builds.find((build) => build.space !== null && sameSpace(build.settings.embeddings, embeddings));
