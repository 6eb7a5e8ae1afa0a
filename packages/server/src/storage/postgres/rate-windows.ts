import type { RateWindow } from "../port.ts";
import type { Connections } from "./connections.ts";

/**
 * Counts a request against a sliding window that all processes share. Each window is one row, which a count locks until
 * it commits, so exactly `limit` of many concurrent requests pass. A crash of the database may lose the last moments,
 * because commits do not wait for the disk here.
 */
export async function countRequest(
  connections: Connections,
  window: string,
  limit: number,
  windowMs: number,
  now: number,
): Promise<RateWindow> {
  const [counted] = await connections.transaction("write", async (tx) => {
    const [, rows] = await Promise.all([
      tx.rows("SET LOCAL synchronous_commit = off"),
      tx.rows<[allowed: number, used: number, oldest: number | null]>(
        `INSERT INTO rate_windows AS w (rate_window, requests, allowed, last_at)
         VALUES ($1, CASE WHEN $2 > 0 THEN ARRAY[$4::bigint] ELSE '{}' END, $2 > 0, $4)
         ON CONFLICT (rate_window) DO UPDATE SET (requests, allowed, last_at) = (
           SELECT CASE WHEN count(r) < $2 THEN coalesce(array_agg(r ORDER BY r), '{}') || $4::bigint
               ELSE array_agg(r ORDER BY r) END,
             count(r) < $2, $4
           FROM unnest(w.requests) r WHERE r > $4 - $3)
         RETURNING allowed, cardinality(requests), requests[1]`,
        [window, limit, windowMs, now],
      ),
    ]);
    return rows;
  });
  const [allowed, used, oldest] = counted!;
  return {
    allowed: allowed === 1,
    remaining: Math.max(0, limit - used),
    resetMs: Math.max(0, (oldest ?? now) + windowMs - now),
  };
}
