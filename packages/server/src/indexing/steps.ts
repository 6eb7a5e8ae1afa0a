import type { Mark } from "../storage/index-port.ts";
import { type BuildSettings, type EmbeddingSettings, wantedSettings } from "./build-settings.ts";
import { beginBuild, isLevel, newestBuild } from "./builds.ts";
import type { PrepareContext } from "./embed-missing.ts";
import { LEASE_MS } from "./lease.ts";
import {
  addToMerge,
  beginMerge,
  findMerge,
  finishMerge,
  type Merge,
  type MergedBlocks,
  mergedBlocks,
} from "./merge.ts";
import { type Prepared, prepare } from "./prepare.ts";
import { publish } from "./publish.ts";
import { putOff } from "./put-off.ts";
import { type PreparedStep, prepareStep, publishStep, type Step } from "./walk.ts";

/** Marks that are taken at once. */
const BATCH_MARKS = 500;

export interface IndexingContext extends PrepareContext {
  /** The embeddings that are configured; null: none. */
  embeddings: EmbeddingSettings | null;
  /** Merges under way, by the segment that is being made. */
  merges: Map<string, AsyncGenerator<MergedBlocks>>;
}

/**
 * The steps of bringing indexes level, each of which either reads and works out or writes: commands.ts says which,
 * and so in which thread it runs.
 */
export const indexSteps = {
  /** Every store, and whether it has something to do. */
  storesToIndex: ({ storage, now }: IndexingContext) => storage.index.stores(now()),

  /** Whether a store's index is, or is becoming, what its settings ask for. */
  async isIndexUpToDate(
    { storage, embeddings }: IndexingContext,
    storeId: string,
    settings: string,
  ): Promise<boolean> {
    return isLevel(await storage.index.builds(storeId), wantedSettings(JSON.parse(settings), embeddings));
  },

  /** Begins the build that a store's settings ask for, if it lacks one; or, forced, in any case. */
  beginBuild(
    { storage, embeddings, now }: IndexingContext,
    storeId: string,
    settings: string,
    forced = false,
  ) {
    const wanted: BuildSettings = wantedSettings(JSON.parse(settings), embeddings);
    return beginBuild(storage, storeId, wanted, { now: now(), forced });
  },

  /** Takes some contents that wait. */
  claimEntries({ storage, now }: IndexingContext, storeId: string): Promise<Mark[]> {
    return storage.index.claim(storeId, now(), now() + LEASE_MS, BATCH_MARKS);
  },

  /** Asks for more time. */
  renewClaim({ storage, now }: IndexingContext, storeId: string, marks: Mark[]): Promise<void> {
    const dueAt = now() + LEASE_MS;
    return storage.index.putOff(
      storeId,
      marks.map(({ version, attempts }) => ({ version, attempts, error: null, dueAt })),
    );
  },

  /** Works out what taken contents add; null if the store has no build to add to. */
  async prepareEntries(context: IndexingContext, storeId: string, marks: Mark[]): Promise<Prepared | null> {
    const builds = (await context.storage.index.builds(storeId)).filter(({ state }) => state !== "retired");
    return newestBuild(builds) ? prepare(context, storeId, marks, builds) : null;
  },

  publishEntries: ({ storage, now }: IndexingContext, storeId: string, prepared: Prepared): Promise<void> =>
    publish(storage, storeId, prepared, now()),

  /** Leaves a content for later that could not be looked at. */
  deferEntry({ storage, now }: IndexingContext, storeId: string, mark: Mark, reason: string): Promise<void> {
    return storage.index.putOff(storeId, [putOff(mark, reason, now(), 0)]);
  },

  prepareBuildStep: (context: IndexingContext, storeId: string): Promise<PreparedStep> =>
    prepareStep(context, storeId),
  publishBuildStep: ({ storage }: IndexingContext, storeId: string, step: Step): Promise<void> =>
    publishStep(storage, storeId, step),

  findMerge: ({ storage }: IndexingContext, storeId: string) => findMerge(storage, storeId),
  beginMerge: (
    { storage, now }: IndexingContext,
    storeId: string,
    found: { build: number; segments: number[] },
  ) => beginMerge(storage, storeId, found, now()),

  /** The next blocks of a merge; null at its end. */
  async nextMerged(
    { storage, merges }: IndexingContext,
    storeId: string,
    merge: Merge,
  ): Promise<MergedBlocks | null> {
    const key = mergeKey(storeId, merge);
    const blocks = merges.get(key) ?? mergedBlocks(storage, storeId, merge);
    merges.set(key, blocks);
    const { value, done } = await blocks.next();
    return done ? null : value;
  },

  /** Forgets a merge, however it ended: run where its blocks are read. */
  async endMerge({ merges }: IndexingContext, storeId: string, merge: Merge): Promise<void> {
    merges.delete(mergeKey(storeId, merge));
  },

  /** Sees to it that a store's vectors are compared quickly. @returns what an operator should know of it */
  maintainVectors: ({ storage }: IndexingContext, storeId: string) => storage.index.tendVectors(storeId),

  addToMerge: ({ storage, now }: IndexingContext, storeId: string, merge: Merge, blocks: MergedBlocks) =>
    addToMerge(storage, storeId, merge, blocks, now()),
  finishMerge: ({ storage }: IndexingContext, storeId: string, merge: Merge) =>
    finishMerge(storage, storeId, merge),
};

const mergeKey = (storeId: string, { build, into }: Merge) => `${storeId} ${build} ${into.segment}`;

/** The steps as the indexer calls them, in whichever thread they run. */
export type IndexSteps = {
  [Name in keyof typeof indexSteps]: (typeof indexSteps)[Name] extends (
    context: IndexingContext,
    ...args: infer Args
  ) => infer Result
    ? (...args: Args) => Result
    : never;
};
