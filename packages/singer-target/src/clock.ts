/** A date-time as the API takes it, with nanoseconds. */
export type Timestamp = string;

/**
 * The timestamps of one run. The target writes every record with {@link now}, which moves only when a table's version
 * changes, so that later records are newer than all earlier ones.
 */
export class RunClock {
  #ms = Date.now();
  /** How far the server's clock is ahead of the local clock, in ms. */
  #ahead = 0;

  /**
   * Follows the server's clock. A client's clock may be earlier than the last sync, or so late that the server rejects
   * it.
   * @param last timestamp of the connector's last sync, if there was one; this run's timestamps are newer
   */
  follow(server: Timestamp, last: Timestamp | undefined): void {
    this.#ahead = Date.parse(server) - Date.now();
    // The last sync may be a version mark, which is dated just before the records of its run.
    this.#ms = Math.max(Date.parse(server), last === undefined ? 0 : Date.parse(last) + 2);
  }

  /** The timestamp of records that are written now. */
  now(): Timestamp {
    return new Date(this.#ms).toISOString();
  }

  /** The last moment before {@link now}. */
  before(): Timestamp {
    return justBefore(this.#ms);
  }

  /** Advances the clock, so that later records are newer. */
  advance(): void {
    this.#ms = Math.max(Date.now() + this.#ahead, this.#ms + 1);
  }

  /**
   * The moment before a table's version, if the version is a time: many taps use ms since 1970 as versions.
   * Never later than {@link before}.
   */
  beforeVersion(version: string): Timestamp {
    const ms = Number(version);
    return justBefore(Number.isInteger(ms) && ms > 0 ? Math.min(ms, this.#ms) : 1);
  }
}

/** One nanosecond earlier. */
function justBefore(ms: number): Timestamp {
  return new Date(ms - 1).toISOString().replace("Z", "999999Z");
}
