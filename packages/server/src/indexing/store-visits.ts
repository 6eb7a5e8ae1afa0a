import { ApiError } from "@tidemark/protocol/errors";
import type { QueueEntry, StoreToIndex } from "../storage/index-port.ts";
import type { EndpointNews } from "./embed-missing.ts";
import { LEASE_MS } from "./lease.ts";
import type { IndexSteps } from "./steps.ts";

/** What the indexer gives to its visits, and hears from them. */
export interface VisitContext {
  steps: IndexSteps;
  noteEndpoint(news: EndpointNews): void;
  noteFailure(error: unknown, storeId: string): void;
  stopped(): boolean;
}

/** The visits of one indexer to its stores: what it knows of each, and the steps that it runs for one. */
export class StoreVisits {
  #context: VisitContext;
  /** The settings that each store's index is up to date with. */
  #settings = new Map<string, string>();
  /** Stores with a build or a merge under way: only one of each may run for a store in this process. */
  #busy = new Set<string>();

  constructor(context: VisitContext) {
    this.#context = context;
  }

  /** Whether a visit to the store would find something to do. */
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
   * Publishes a batch. If one of its contents makes it fail, the others are published without it.
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

  /** Takes the build of a store's new index one step further. @returns false if there was no step to take */
  async #build(storeId: string): Promise<boolean> {
    const { steps, noteEndpoint } = this.#context;
    const next = await steps.prepareBuildStep(storeId);
    next?.endpoints.forEach(noteEndpoint);
    if (next?.step) await steps.publishBuildStep(storeId, next.step);
    return !!next?.step;
  }

  /** Merges segments of one size into one, if a store has enough of them. */
  async #merge(storeId: string): Promise<void> {
    const { steps } = this.#context;
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
  }
}

/** Whether the database is to blame, and no content. */
const isUnavailable = (error: unknown) => error instanceof ApiError && error.code === "SERVICE_UNAVAILABLE";
