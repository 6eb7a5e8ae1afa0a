/** A moment as the wire has it, with nanoseconds. */
export type Timestamp = string;

/**
 * The timestamps of one run. Every record is written with {@link now}, which moves only when a table's version changes:
 * what is written afterwards is newer than all that was written before.
 */
export class RunClock {
  #ms = Date.now();
  /** How far the server's clock is ahead of this machine's, ms. */
  #ahead = 0;

  /**
   * Goes by the server's clock: what this machine's says may be earlier than what was written before, or too late to be
   * taken.
   * @param last of the connector's last sync, if there was one: what is written now is newer
   */
  follow(server: Timestamp, last: Timestamp | undefined): void {
    this.#ahead = Date.parse(server) - Date.now();
    // It may have been a mark, which is dated just before the records of its run.
    this.#ms = Math.max(Date.parse(server), last === undefined ? 0 : Date.parse(last) + 2);
  }

  /** The timestamp of what is written now. */
  now(): Timestamp {
    return new Date(this.#ms).toISOString();
  }

  /** The last moment before {@link now}. */
  before(): Timestamp {
    return justBefore(this.#ms);
  }

  /** Moves on: what is written from here on is newer. */
  advance(): void {
    this.#ms = Math.max(Date.now() + this.#ahead, this.#ms + 1);
  }

  /**
   * The moment before the one that a table's version stands for, where it is one: taps take the time, in ms since 1970.
   * Never later than {@link before}.
   */
  beforeVersion(version: string): Timestamp {
    const ms = Number(version);
    return justBefore(Number.isInteger(ms) && ms > 0 ? Math.min(ms, this.#ms) : 1);
  }
}

/** One nanosecond before. */
function justBefore(ms: number): Timestamp {
  return new Date(ms - 1).toISOString().replace("Z", "999999Z");
}
