import type { RateWindow } from "../port.ts";
import { Connection } from "./connection.ts";

/**
 * Sliding windows in a small database file of their own, so that counting a request never waits for a sync that holds
 * the ledger's write lock. Commits need no fsync, because a power loss may forget the last minute.
 */
export class RateWindows {
  #connection: Connection;

  constructor(path: string) {
    this.#connection = new Connection(path, { durable: false });
    this.#connection.database.exec(
      `CREATE TABLE IF NOT EXISTS requests (
        rate_window TEXT NOT NULL, at INTEGER NOT NULL, number INTEGER NOT NULL,
        PRIMARY KEY (rate_window, at, number)
      ) STRICT, WITHOUT ROWID`,
    );
  }

  count(window: string, limit: number, windowMs: number, now: number): Promise<RateWindow> {
    return this.#connection.transaction("IMMEDIATE", () => {
      const sql = (text: string) => this.#connection.statement(text);
      sql("DELETE FROM requests WHERE rate_window = ?1 AND at <= ?2").run(window, now - windowMs);
      const { used, oldest } = sql(
        "SELECT count(*) AS used, min(at) AS oldest FROM requests WHERE rate_window = ?1",
      ).get(window) as { used: number; oldest: number | null };
      const allowed = used < limit;
      if (allowed) {
        sql(
          `INSERT INTO requests SELECT ?1, ?2, coalesce(max(number) + 1, 0)
           FROM requests WHERE rate_window = ?1 AND at = ?2`,
        ).run(window, now);
      }
      return {
        allowed,
        remaining: Math.max(0, limit - used - 1),
        resetMs: Math.max(0, (oldest ?? now) + windowMs - now),
      };
    });
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}
