import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "pino";
import type { EndpointNews } from "./embed-missing.ts";
import type { IndexSteps } from "./steps.ts";
import { StoreVisits } from "./store-visits.ts";

/** Pause between looks for work where nobody says that there is some: another process may have left it. */
const IDLE_PAUSE_MS = 500;
/** Batches that are worked on at once: one is written while the next is read. */
const WORKERS = 2;
/** Pause between two rounds of maintenance of the vectors. */
const MAINTAIN_EVERY_MS = 15_000;
/** A store with a backlog is left out of so many rounds in a row: ten minutes. */
const MAINTAIN_SKIPPED_MAX = 40;
/** What is under way at the end gets so long; it is taken up again by whoever comes next. */
const STOP_PATIENCE_MS = 1000;

export interface Indexer {
  /** Says that there may be work now. */
  wake(): void;
  /** Ends after the batches that are under way, or, where an embeddings endpoint lets them wait, without them. */
  stop(): Promise<void>;
}

/**
 * Keeps the indexes of all stores up to date, in small batches, one store after the other: no store's backlog keeps the
 * others waiting. What it was at when it ends, however it ends, is taken up by whoever comes next.
 */
export function startIndexer(steps: IndexSteps, log: Logger): Indexer {
  let woken = Promise.withResolvers<void>();
  const stopping = new AbortController();
  const { signal } = stopping;
  const noteFailure = (error: unknown, storeId?: string) => {
    if (!signal.aborted) log.warn({ err: error, vector_store_id: storeId }, "indexing step failed");
  };
  const visits = new StoreVisits({
    steps,
    noteFailure,
    noteEndpoint: endpointLog(log),
    stopped: () => signal.aborted,
  });

  /** Rounds over all stores, one batch each. */
  const work = async (): Promise<void> => {
    while (!signal.aborted) {
      const wake = woken.promise;
      let more = false;
      try {
        for (const store of await steps.storesToIndex()) {
          if (signal.aborted) return;
          if (!visits.isWorthwhile(store)) continue;
          more = (await visits.visit(store).catch((error) => noteFailure(error, store.storeId))) || more;
        }
      } catch (error) {
        noteFailure(error);
      }
      const idle = pause(IDLE_PAUSE_MS, undefined, { signal }).catch(() => {});
      if (!more) await Promise.race([wake, idle]);
    }
  };

  const workers = [
    ...Array.from({ length: WORKERS }, work),
    maintainVectors(steps, log, signal, noteFailure),
  ];
  return {
    wake() {
      woken.resolve();
      woken = Promise.withResolvers();
    },
    async stop() {
      stopping.abort();
      await Promise.race([Promise.all(workers), pause(STOP_PATIENCE_MS, undefined, { ref: false })]);
    },
  };
}

/** Logs once that the embeddings endpoint for a model cannot be used, and once that it can again. */
function endpointLog(log: Logger): (news: EndpointNews) => void {
  const unusable = new Set<string>();
  return ({ model, unavailable }) => {
    if (unusable.has(model) === (unavailable !== null)) return;
    if (unavailable !== null) {
      unusable.add(model);
      log.warn({ model, reason: unavailable }, "embeddings endpoint unavailable");
    } else {
      unusable.delete(model);
      log.info({ model }, "embeddings endpoint available again");
    }
  };
}

/**
 * Maintains the vectors of each store now and then, and logs what is new of them. A store with a backlog waits, unless
 * its backlog never ends: an index takes a single vector much longer than its share of building the index of all.
 */
async function maintainVectors(
  steps: IndexSteps,
  log: Logger,
  signal: AbortSignal,
  noteFailure: (error: unknown, storeId: string) => void,
): Promise<void> {
  const logged = new Map<string, string | null>();
  const skipped = new Map<string, number>();
  while (!signal.aborted) {
    await pause(MAINTAIN_EVERY_MS, undefined, { signal, ref: false }).catch(() => {});
    for (const { storeId, due, building } of signal.aborted
      ? []
      : await steps.storesToIndex().catch(() => [])) {
      const before = skipped.get(storeId) ?? 0;
      const skip = (due || building) && before < MAINTAIN_SKIPPED_MAX;
      skipped.set(storeId, skip ? before + 1 : 0);
      if (skip) continue;
      const line = await steps.maintainVectors(storeId).catch((error) => noteFailure(error, storeId));
      if (line && line !== logged.get(storeId)) log.info({ vector_store_id: storeId }, line);
      logged.set(storeId, line ?? null);
    }
  }
}
