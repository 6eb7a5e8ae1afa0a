import { ApiError } from "@tidemark/protocol/errors";
import type { QueueEntry, StoreToIndex } from "../storage/index-port.ts";
import { type IndexArguments, type IndexName, type IndexResult, LEASE_MS } from "./commands.ts";
import type { EndpointNews } from "./embed-missing.ts";

/** Runs a step of indexing/commands.ts, in this thread or in another. */
export type RunStep = <Name extends IndexName>(
  name: Name,
  ...args: IndexArguments<Name>
) => Promise<IndexResult<Name>>;

/** What the indexer gives to its visits, and hears from them. */
export interface VisitContext {
  run: RunStep;
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
    const { run } = this.#context;
    if (this.#settings.get(storeId) !== settings) {
      if (!(await run("hasWantedBuild", storeId, settings))) await run("beginBuild", storeId, settings);
      this.#settings.set(storeId, settings);
    }
    const entries = due ? await run("claim", storeId) : [];
    if (entries.length > 0) {
      const renewal = setInterval(() => run("renew", storeId, entries).catch(() => {}), LEASE_MS / 3);
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
    const { run, noteFailure, stopped } = this.#context;
    try {
      return await this.#publish(storeId, entries);
    } catch (error) {
      if (stopped() || isUnavailable(error)) throw error;
      noteFailure(error, storeId);
      for (const entry of entries) {
        await this.#publish(storeId, [entry]).catch((error) => {
          if (isUnavailable(error)) throw error;
          return run("fail", storeId, entry, (error as Error).message);
        });
      }
      return true;
    }
  }

  /** @returns false if the embeddings endpoint is unavailable */
  async #publish(storeId: string, entries: QueueEntry[]): Promise<boolean> {
    const { run, noteEndpoint } = this.#context;
    const prepared = await run("prepare", storeId, entries);
    if (!prepared) return true;
    prepared.endpoints.forEach(noteEndpoint);
    await run("publish", storeId, prepared);
    return prepared.endpoints.every(({ unavailable }) => unavailable === null);
  }

  /** Takes the build of a store's new index one step further. @returns false if there was no step to take */
  async #build(storeId: string): Promise<boolean> {
    const { run, noteEndpoint } = this.#context;
    const next = await run("prepareStep", storeId);
    next?.endpoints.forEach(noteEndpoint);
    if (next?.step) await run("publishStep", storeId, next.step);
    return !!next?.step;
  }

  /** Merges segments of one size into one, if a store has enough of them. */
  async #merge(storeId: string): Promise<void> {
    const { run } = this.#context;
    const segments = await run("findMerge", storeId);
    const merge = segments && (await run("beginMerge", storeId, segments));
    if (!merge) return;
    try {
      for (;;) {
        const blocks = await run("nextMerged", storeId, merge);
        if (blocks === null) break;
        if (!(await run("addToMerge", storeId, merge, blocks))) return;
      }
      await run("finishMerge", storeId, merge);
    } finally {
      await run("endMerge", storeId, merge);
    }
  }
}

/** Whether the database is to blame, and no content. */
const isUnavailable = (error: unknown) => error instanceof ApiError && error.code === "SERVICE_UNAVAILABLE";
