import type { Indexing } from "@tidemark/protocol/browse";
import type { Commands } from "../commands.ts";

/** A count is good for so long, and for so many times as long as it took: a backlog of millions takes a while. */
const GOOD_MS = 5000;
const GOOD_TIMES = 50;

/** How far the indexes of all stores are. */
export interface IndexLag {
  pending: number;
  failed: number;
  /** Age of the oldest content that waits; 0 if none does. */
  lagMs: number;
}

/** How far a time, such as `oldest_pending_at`, is in the past. */
export const lagOf = ({ oldest_pending_at }: Indexing, now: number): number =>
  oldest_pending_at === null ? 0 : Math.max(0, now - Date.parse(oldest_pending_at));

/** Knows how far the index is, without counting for everybody who asks. */
export class IndexProgress {
  #commands: Commands;
  #now: () => number;
  #counted: Promise<Indexing> | undefined;
  #goodUntil = 0;

  constructor(commands: Commands, now: () => number) {
    this.#commands = commands;
    this.#now = now;
  }

  /** @throws ApiError if the database is away */
  async read(): Promise<IndexLag> {
    if (!this.#counted || this.#now() >= this.#goodUntil) this.#counted = this.#count();
    const indexing = await this.#counted;
    const { pending, failed } = indexing;
    return { pending, failed, lagMs: lagOf(indexing, this.#now()) };
  }

  #count(): Promise<Indexing> {
    const started = performance.now();
    this.#goodUntil = this.#now() + GOOD_MS;
    const counted = this.#commands.indexingOfAll();
    counted.then(
      () => {
        this.#goodUntil = this.#now() + Math.max(GOOD_MS, GOOD_TIMES * (performance.now() - started));
      },
      () => {
        this.#counted = undefined;
      },
    );
    return counted;
  }
}
