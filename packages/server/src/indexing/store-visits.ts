import { ApiError } from "@tidemark/protocol/errors";
import type { QueueEntry, StoreToIndex } from "../storage/index-port.ts";
import type { EndpointNews } from "./embed-missing.ts";
import { LEASE_MS } from "./lease.ts";
import type { IndexSteps } from "./steps.ts";

/** What the visits use of the indexer. */
export interface VisitContext {
  steps: IndexSteps;
  noteEndpoint(news: EndpointNews): void;
  noteFailure(error: unknown, storeId: string): void;
  stopped(): boolean;
}

/** Runs the steps for one store at a time, and remembers what this process knows of each store. */
export class StoreVisits {
  #context: VisitContext;
  /** The settings with which each store's index was last compared. */
  #settings = new Map<string, string>();
  /** Stores with a build or merge step in progress: this process runs one at a time for a store. */
  #busy = new Set<string>();

  constructor(context: VisitContext) {
    this.#context = context;
  }

  /** Whether a visit to the store would find work. */
  isWorthwhile({ storeId, settings, due, building }: StoreToIndex): boolean {
    return due || building || this.#settings.get(storeId) !== settings;
  }

  /** Indexes one batch of a store. @returns true if there may be more */
  async visit({ storeId, settings, due, building }: StoreToIndex): Promise<boolean> {
    const { steps } = this.#context;
    if (this.#settings.get(storeId) !== settings) {
      if (!(await steps.isIndexUpToDate(storeId, settings))) await steps.beginBuild(storeId, settings);
      this.#settings.set(storeId, settings);
    }
    const entries = due ? await steps.claimEntries(storeId) : [];
    if (entries.length > 0) {
      const renewal = setInterval(() => steps.renewClaim(storeId, entries).catch(() => {}), LEASE_MS / 3);
      const settled = this.#settle(storeId, entries).finally(() => clearInterval(renewal));
      if (!(await settled)) return false;
    }
    if (!building && entries.length === 0) return false;
    if (this.#busy.has(storeId)) return entries.length > 0;
    this.#busy.add(storeId);
    try {
      const built = building && (await this.#build(storeId));
      await this.#merge(storeId);
      return entries.length > 0 || built;
    } finally {
      this.#busy.delete(storeId);
    }
  }

  /**
   * Publishes a batch. If the batch fails, each entry is published alone, and only the ones that fail are deferred.
   * @returns false if the embeddings endpoint is unavailable
   */
  async #settle(storeId: string, entries: QueueEntry[]): Promise<boolean> {
    const { steps, noteFailure, stopped } = this.#context;
    try {
      return await this.#publish(storeId, entries);
    } catch (error) {
      if (stopped() || isUnavailable(error)) throw error;
      noteFailure(error, storeId);
      for (const entry of entries) {
        await this.#publish(storeId, [entry]).catch((error) => {
          if (isUnavailable(error)) throw error;
          return steps.deferEntry(storeId, entry, (error as Error).message);
        });
      }
      return true;
    }
  }

  /** @returns false if the embeddings endpoint is unavailable */
  async #publish(storeId: string, entries: QueueEntry[]): Promise<boolean> {
    const { steps, noteEndpoint } = this.#context;
    const prepared = await steps.prepareEntries(storeId, entries);
    if (!prepared) return true;
    prepared.endpoints.forEach(noteEndpoint);
    await steps.publishEntries(storeId, prepared);
    return prepared.endpoints.every(({ unavailable }) => unavailable === null);
  }

  /** Runs the next step of a store's new build. @returns false if there was none */
  async #build(storeId: string): Promise<boolean> {
    const { steps, noteEndpoint } = this.#context;
    const next = await steps.prepareBuildStep(storeId);
    next?.endpoints.forEach(noteEndpoint);
    if (next?.step) await steps.publishBuildStep(storeId, next.step);
    return !!next?.step;
  }

  /** Runs the merge that a store's index needs, if any. */
  async #merge(storeId: string): Promise<void> {
    const { steps } = this.#context;
    const segments = await steps.findMerge(storeId);
    const merge = segments && (await steps.beginMerge(storeId, segments));
    if (!merge) return;
    try {
      for (;;) {
        const blocks = await steps.nextMerged(storeId, merge);
        if (blocks === null) break;
        if (!(await steps.addToMerge(storeId, merge, blocks))) return;
      }
      await steps.finishMerge(storeId, merge);
    } finally {
      await steps.endMerge(storeId, merge);
    }
  }
}

/** Whether the database failed, and not an entry. */
const isUnavailable = (error: unknown) => error instanceof ApiError && error.code === "SERVICE_UNAVAILABLE";
