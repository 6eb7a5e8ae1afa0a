import type { EmbeddingSettings } from "../storage/build-settings.ts";
import type { QueueEntry } from "../storage/index-port.ts";
import { wantedSettings } from "./build-settings.ts";
import { beginBuild, hasWantedBuild, newestBuild } from "./builds.ts";
import { deferralOf } from "./deferral.ts";
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
import type { PrepareContext } from "./prepare-context.ts";
import { publish } from "./publish.ts";
import { type PreparedStep, prepareStep, publishStep, type Step } from "./walk.ts";

/** Entries of one claim. */
const BATCH_ENTRIES = 500;

export interface IndexingContext extends PrepareContext {
  /** The configured embeddings; null: none. */
  embeddings: EmbeddingSettings | null;
  /** Merges in progress, by {@link mergeKey}. */
  merges: Map<string, AsyncGenerator<MergedBlocks>>;
}

/**
 * The steps of bringing indexes up to date. Each step either reads and computes or writes; its duty in commands.ts
 * decides in which thread it runs.
 */
export const indexSteps = {
  /** Every store, and whether its index has work to do. */
  storesToIndex: ({ storage, now }: IndexingContext) => storage.index.stores(now()),

  /** Whether a store's newest build has the settings that the store asks for. */
  async isIndexUpToDate(
    { storage, embeddings }: IndexingContext,
    storeId: string,
    settings: string,
  ): Promise<boolean> {
    return hasWantedBuild(
      await storage.index.builds(storeId),
      wantedSettings(JSON.parse(settings), embeddings),
    );
  },

  /** Begins the build that a store's settings ask for, if it has none yet or `forced` is true. */
  beginBuild(
    { storage, embeddings, now }: IndexingContext,
    storeId: string,
    settings: string,
    forced = false,
  ) {
    const target = wantedSettings(JSON.parse(settings), embeddings);
    return beginBuild(storage, storeId, target, { now: now(), forced });
  },

  /** Claims due entries of a store for the length of a lease. */
  claimEntries({ storage, now }: IndexingContext, storeId: string): Promise<QueueEntry[]> {
    return storage.index.claim(storeId, now(), now() + LEASE_MS, BATCH_ENTRIES);
  },

  /** Extends the lease of claimed entries. */
  renewClaim({ storage, now }: IndexingContext, storeId: string, entries: QueueEntry[]): Promise<void> {
    const dueAt = now() + LEASE_MS;
    return storage.index.defer(
      storeId,
      entries.map(({ version, attempts }) => ({ version, attempts, error: null, dueAt })),
    );
  },

  /** Prepares claimed entries; null if the store has no build to add to. */
  async prepareEntries(
    context: IndexingContext,
    storeId: string,
    entries: QueueEntry[],
  ): Promise<Prepared | null> {
    const builds = (await context.storage.index.builds(storeId)).filter(({ state }) => state !== "retired");
    return newestBuild(builds) ? prepare(context, storeId, entries, builds) : null;
  },

  publishEntries: ({ storage, now }: IndexingContext, storeId: string, prepared: Prepared): Promise<void> =>
    publish(storage, storeId, prepared, now()),

  /** Defers an entry whose preparation or publication failed. */
  deferEntry(
    { storage, now }: IndexingContext,
    storeId: string,
    entry: QueueEntry,
    reason: string,
  ): Promise<void> {
    return storage.index.defer(storeId, [deferralOf(entry, reason, now(), 0)]);
  },

  prepareBuildStep: (context: IndexingContext, storeId: string): Promise<PreparedStep> =>
    prepareStep(context, storeId),
  publishBuildStep: ({ storage }: IndexingContext, storeId: string, step: Step): Promise<void> =>
    publishStep(storage, storeId, step),

  findMerge: ({ storage }: IndexingContext, storeId: string) => findMerge(storage, storeId),
  beginMerge: (
    { storage, now }: IndexingContext,
    storeId: string,
    segments: { build: number; segments: number[] },
  ) => beginMerge(storage, storeId, segments, now()),

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

  /** Forgets a merge that ended; must run in the thread of {@link nextMerged}. */
  async endMerge({ merges }: IndexingContext, storeId: string, merge: Merge): Promise<void> {
    merges.delete(mergeKey(storeId, merge));
  },

  /** Keeps comparisons with a store's vectors quick. @returns a line for the operator's log */
  maintainVectors: ({ storage }: IndexingContext, storeId: string) => storage.index.maintainVectors(storeId),

  addToMerge: ({ storage, now }: IndexingContext, storeId: string, merge: Merge, blocks: MergedBlocks) =>
    addToMerge(storage, storeId, merge, blocks, now()),
  finishMerge: ({ storage }: IndexingContext, storeId: string, merge: Merge) =>
    finishMerge(storage, storeId, merge),
};

const mergeKey = (storeId: string, { build, into }: Merge) => `${storeId} ${build} ${into.segment}`;

/** The steps as the indexer calls them: each runs in the thread of its duty. */
export type IndexSteps = {
  [Name in keyof typeof indexSteps]: (typeof indexSteps)[Name] extends (
    context: IndexingContext,
    ...args: infer Args
  ) => infer Result
    ? (...args: Args) => Result
    : never;
};
