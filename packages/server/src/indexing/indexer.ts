import { setTimeout as pause } from "node:timers/promises";
import { ApiError } from "@tidemark/protocol/errors";
import type { Logger } from "pino";
import type { Mark, StoreToIndex } from "../storage/index-port.ts";
import type { EndpointNews } from "./embed-missing.ts";
import { LEASE_MS } from "./lease.ts";
import type { IndexSteps } from "./steps.ts";

/** Pause between looks for work where nobody says that there is some: another process may have left it. */
const IDLE_PAUSE_MS = 500;
/** Batches that are worked on at once: one is written while the next is read. */
const WORKERS = 2;
/** Pause between two looks after the vectors. */
const TEND_EVERY_MS = 15_000;
/** How many looks in a row a store with a backlog is passed over: ten minutes. */
const TEND_SKIPPED_MAX = 40;
/** What is under way at the end gets so long; it is taken up again by whoever comes next. */
const STOP_PATIENCE_MS = 1000;

export interface Indexer {
  /** Says that there may be work now. */
  wake(): void;
  /** Ends after the batches that are under way, or, where an embeddings endpoint lets them wait, without them. */
  stop(): Promise<void>;
}

/**
 * Brings the indexes of all stores level, in small batches, one store after the other: no store's backlog keeps the
 * others waiting. What it was at when it ends, however it ends, is taken up by whoever comes next.
 */
export function startIndexer(steps: IndexSteps, log: Logger): Indexer {
  let stopped = false;
  let woken = Promise.withResolvers<void>();
  const stopping = new AbortController();
  /** The settings that each store's index is level with. */
  const level = new Map<string, string>();
  const busy = new Set<string>();
  /** Models whose endpoint cannot be used. */
  const away = new Set<string>();

  /** Tells once when the embeddings endpoint for a model cannot be used, and once when it can again. */
  const noteEndpoint = ({ model, unavailable }: EndpointNews) => {
    if (away.has(model) === (unavailable !== null)) return;
    if (unavailable !== null) {
      away.add(model);
      log.warn({ model, reason: unavailable }, "embeddings endpoint unavailable");
    } else {
      away.delete(model);
      log.info({ model }, "embeddings endpoint available again");
    }
  };

  /** Publishes marked contents. @returns false if the embeddings endpoint is away */
  const publish = async (storeId: string, marks: Mark[]): Promise<boolean> => {
    const prepared = await steps.prepareEntries(storeId, marks);
    if (!prepared) return true;
    prepared.endpoints.forEach(noteEndpoint);
    await steps.publishEntries(storeId, prepared);
    return prepared.endpoints.every(({ unavailable }) => unavailable === null);
  };

  /** The same; where a content makes it fail, the others go on without it. */
  const settle = async (storeId: string, marks: Mark[]): Promise<boolean> => {
    try {
      return await publish(storeId, marks);
    } catch (error) {
      if (stopped || isUnavailable(error)) throw error;
      failed(error, storeId);
      for (const mark of marks) {
        await publish(storeId, [mark]).catch((error) => {
          if (isUnavailable(error)) throw error;
          return steps.deferEntry(storeId, mark, (error as Error).message);
        });
      }
      return true;
    }
  };

  /** One batch of a store. @returns true if there may be more */
  const visit = async ({ storeId, settings, due, building }: StoreToIndex): Promise<boolean> => {
    if (level.get(storeId) !== settings) {
      if (!(await steps.isIndexUpToDate(storeId, settings))) await steps.beginBuild(storeId, settings);
      level.set(storeId, settings);
    }
    const marks = due ? await steps.claimEntries(storeId) : [];
    if (marks.length > 0) {
      const renewal = setInterval(() => steps.renewClaim(storeId, marks).catch(() => {}), LEASE_MS / 3);
      const settled = settle(storeId, marks).finally(() => clearInterval(renewal));
      if (!(await settled)) return false;
    }
    if (!building && marks.length === 0) return false;
    // What only one may do of a store in this process.
    if (busy.has(storeId)) return marks.length > 0;
    busy.add(storeId);
    try {
      const next = building ? await steps.prepareBuildStep(storeId) : null;
      next?.endpoints.forEach(noteEndpoint);
      if (next?.step) await steps.publishBuildStep(storeId, next.step);
      await merge(storeId);
      return marks.length > 0 || !!next?.step;
    } finally {
      busy.delete(storeId);
    }
  };

  const merge = async (storeId: string): Promise<void> => {
    const found = await steps.findMerge(storeId);
    const begun = found && (await steps.beginMerge(storeId, found));
    if (!begun) return;
    try {
      for (;;) {
        const blocks = await steps.nextMerged(storeId, begun);
        if (blocks === null) break;
        if (!(await steps.addToMerge(storeId, begun, blocks))) return;
      }
      await steps.finishMerge(storeId, begun);
    } finally {
      await steps.endMerge(storeId, begun);
    }
  };

  const failed = (error: unknown, storeId?: string) => {
    if (!stopped) log.warn({ err: error, vector_store_id: storeId }, "indexing step failed");
  };

  /** Rounds over all stores, one batch each. */
  const work = async (): Promise<void> => {
    while (!stopped) {
      const signal = woken.promise;
      let more = false;
      try {
        for (const store of await steps.storesToIndex()) {
          if (stopped) return;
          const isKnown = level.get(store.storeId) === store.settings;
          if (!store.due && !store.building && isKnown) continue;
          more = (await visit(store).catch((error) => failed(error, store.storeId))) || more;
        }
      } catch (error) {
        failed(error);
      }
      const idle = pause(IDLE_PAUSE_MS, undefined, { signal: stopping.signal }).catch(() => {});
      if (!more) await Promise.race([signal, idle]);
    }
  };

  /**
   * Looks after the vectors of each store now and then, and tells what is new of them. Not while many may still come, unless
   * that never ends: an index takes each of them much longer than it takes to make it of all.
   */
  const tend = async (): Promise<void> => {
    const told = new Map<string, string | null>();
    const skipped = new Map<string, number>();
    while (!stopped) {
      await pause(TEND_EVERY_MS, undefined, { signal: stopping.signal, ref: false }).catch(() => {});
      for (const { storeId, due, building } of stopped ? [] : await steps.storesToIndex().catch(() => [])) {
        const before = skipped.get(storeId) ?? 0;
        const skip = (due || building) && before < TEND_SKIPPED_MAX;
        skipped.set(storeId, skip ? before + 1 : 0);
        if (skip) continue;
        const line = await steps.maintainVectors(storeId).catch((error) => failed(error, storeId));
        if (line && line !== told.get(storeId)) log.info({ vector_store_id: storeId }, line);
        told.set(storeId, line ?? null);
      }
    }
  };

  const workers = [...Array.from({ length: WORKERS }, work), tend()];
  return {
    wake() {
      woken.resolve();
      woken = Promise.withResolvers();
    },
    async stop() {
      stopped = true;
      stopping.abort();
      await Promise.race([Promise.all(workers), pause(STOP_PATIENCE_MS, undefined, { ref: false })]);
    },
  };
}

/** Whether the database is to blame, and no content. */
const isUnavailable = (error: unknown) => error instanceof ApiError && error.code === "SERVICE_UNAVAILABLE";
