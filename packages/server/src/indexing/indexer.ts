import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "pino";
import type { EndpointNews } from "./embed-missing.ts";
import type { IndexSteps } from "./steps.ts";
import { StoreVisits } from "./store-visits.ts";

/** Pause between two looks for work without a wake-up: another process may have enqueued it. */
const IDLE_PAUSE_MS = 500;
/** Batches in progress at the same time: one is written while the next is read. */
const WORKERS = 2;
/** Pause between two rounds of maintenance of the vectors. */
const MAINTAIN_EVERY_MS = 15_000;
/** Maintenance skips a store with a backlog at most this many rounds in a row: ten minutes. */
const MAINTAIN_SKIPPED_MAX = 40;
/** How long `stop` waits for batches in progress; unfinished ones are claimed again after their lease. */
const STOP_PATIENCE_MS = 1000;

export interface Indexer {
  /** Tells the indexer that there may be work now. */
  wake(): void;
  /** Stops after the batches in progress, or without them if they take longer than a second. */
  stop(): Promise<void>;
}

/**
 * Keeps the indexes of all stores up to date, in small batches, one store after the other, so that no store's backlog
 * delays the others. Another indexer claims unfinished work when its lease ends, even after a crash.
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

/** Logs once that the endpoint for a model is unavailable, and once that it is available again. */
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
 * Maintains the vectors of each store every 15 seconds, and logs what changed. A store with a backlog is skipped for
 * ten minutes at most: building a vector index once is much cheaper than adding its vectors one by one.
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
