import type { Indexing } from "@tidemark/protocol/browse";
import type { Commands } from "../commands.ts";

/** A count is reused for at least this long. */
const REUSE_MS = 5000;
/** A count is reused for at least this many times its own duration: counting a large backlog is slow. */
const REUSE_FACTOR = 50;

/** How far search is behind in all stores. */
export interface IndexLag {
  pending: number;
  failed: number;
  /** Age of the oldest content that waits; 0 if none waits. */
  lagMs: number;
}

/** Returns the age of the oldest content that waits, in ms; 0 if none waits. */
export const lagOf = ({ oldest_pending_at }: Indexing, now: number): number =>
  oldest_pending_at === null ? 0 : Math.max(0, now - Date.parse(oldest_pending_at));

/** Reports the progress of the index, and reuses a count for several callers. */
export class IndexProgress {
  #commands: Commands;
  #now: () => number;
  #counted: Promise<Indexing> | undefined;
  #reuseUntil = 0;

  constructor(commands: Commands, now: () => number) {
    this.#commands = commands;
    this.#now = now;
  }

  /** @throws ApiError if the database is unreachable */
  async read(): Promise<IndexLag> {
    if (!this.#counted || this.#now() >= this.#reuseUntil) this.#counted = this.#count();
    const indexing = await this.#counted;
    const { pending, failed } = indexing;
    return { pending, failed, lagMs: lagOf(indexing, this.#now()) };
  }

  #count(): Promise<Indexing> {
    const started = performance.now();
    this.#reuseUntil = this.#now() + REUSE_MS;
    const counted = this.#commands.indexingOfAll();
    counted.then(
      () => {
        this.#reuseUntil = this.#now() + Math.max(REUSE_MS, REUSE_FACTOR * (performance.now() - started));
      },
      () => {
        this.#counted = undefined;
      },
    );
    return counted;
  }
}
