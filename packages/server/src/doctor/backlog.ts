import type { Finding } from "../storage/finding.ts";
import type { Sql } from "../storage/port.ts";
import { listUnfinished } from "../transfer/unfinished.ts";

/** Work that is overdue by more means that no server runs or that it is too slow. */
const LATE_MS = 3_600_000;
/** The most namespaces that may wait to be swept without a warning. */
const SWEEPS_MAX = 1000;

/**
 * Checks for unfinished work.
 * @param now ms since 1970
 * @param refreshRunMs how long an open refresh may pause
 */
export async function examineBacklog(sql: Sql, now: number, refreshRunMs: number): Promise<Finding[]> {
  return [
    await examineTimes(sql, now),
    await examineRefreshes(sql, now - refreshRunMs),
    await examineSweeps(sql),
    await examineImports(sql),
  ];
}

async function count(sql: Sql, text: string, values: number[] = []): Promise<number> {
  const [row] = await sql.all(text, values);
  return Number(Object.values(row!)[0] ?? 0);
}

/** Compares this machine's clock with the time of the last sync. */
async function examineTimes(sql: Sql, now: number): Promise<Finding> {
  const check = "last sync";
  const last = await count(sql, "SELECT max(last_sync_at) AS last FROM namespaces");
  if (last === 0) return { check, status: "ok", message: "no sync yet" };
  const message = `at ${new Date(last).toISOString()}`;
  if (last <= now + 60_000) return { check, status: "ok", message };
  const advice =
    "Set this machine's clock: it is behind the clock of the server that received the last sync.";
  return { check, status: "failed", message: `${message}, which is in the future`, advice };
}

async function examineRefreshes(sql: Sql, due: number): Promise<Finding> {
  const check = "refreshes";
  const open = await count(sql, "SELECT count(*) AS open FROM refresh_runs WHERE state = 'open'");
  const late = await count(
    sql,
    "SELECT count(*) AS late FROM refresh_runs WHERE state = 'open' AND last_part_at < $1",
    [due - LATE_MS],
  );
  const message = `${open} in progress`;
  if (late === 0) return { check, status: "ok", message };
  const advice =
    "They should have expired. Check that tidemark serve runs; its log says whether maintenance fails.";
  return { check, status: "warning", message: `${message}, ${late} overdue`, advice };
}

async function examineSweeps(sql: Sql): Promise<Finding> {
  const check = "maintenance";
  const namespaces = await count(
    sql,
    "SELECT count(*) AS waiting FROM namespaces WHERE sweep_from IS NOT NULL",
  );
  const stores = await count(
    sql,
    `SELECT count(*) AS waiting FROM vector_stores s JOIN store_revisions v ON v.store_id = s.id
     WHERE s.deleted_at IS NOT NULL`,
  );
  const message = `${namespaces} namespaces and ${stores} deleted stores wait to be swept`;
  if (namespaces <= SWEEPS_MAX) return { check, status: "ok", message };
  const advice =
    "tidemark serve sweeps them in the background. Check that it runs and that the number falls.";
  return { check, status: "warning", message, advice };
}

async function examineImports(sql: Sql): Promise<Finding> {
  const check = "imports";
  const unfinished = await listUnfinished(sql);
  if (unfinished.length === 0) return { check, status: "ok", message: "none unfinished" };
  const ids = unfinished.map(
    ({ export_id, stores }) => `${export_id} (${stores.join(", ") || "no store yet"})`,
  );
  const [first] = unfinished;
  const advice = `Repeat the same tidemark import to finish it, or remove it: tidemark import --discard ${first!.export_id}`;
  return { check, status: "warning", message: `unfinished: ${ids.join("; ")}`, advice };
}
