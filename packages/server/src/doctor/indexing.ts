import type { Config } from "../config.ts";
import { openEmbedder } from "../embedding/endpoint-embedder.ts";
import { readBuildSettings } from "../storage/build-settings.ts";
import type { Finding } from "../storage/finding.ts";
import type { Sql } from "../storage/port.ts";
import { IS_FAILED, IS_PENDING, IS_SERVED } from "../storage/rules.ts";

/** A running indexer is only seconds behind. */
const LAG_MAX_MS = 5 * 60_000;
/** The most stores that a message names. */
const NAMED_MAX = 5;
/** A person waits for this check, so its timeout is shorter than the server's. */
const ANSWER_WITHIN_MS = 5000;

/** Checks what search needs: the index, its failed records and its models. @param now ms since 1970 */
export async function examineIndexing(sql: Sql, now: number, config: Config): Promise<Finding[]> {
  return [await examineLag(sql, now), await examineFailed(sql), await examineModels(sql, config)];
}

/** Leaves out deleted stores, whose rows are being removed. */
const LIVE = `store_id IN (SELECT s.id FROM vector_stores s WHERE ${IS_SERVED})`;

async function examineLag(sql: Sql, now: number): Promise<Finding> {
  const check = "index";
  const [row] = await sql.all(
    `SELECT count(*) AS pending, min(queued_at) AS oldest FROM index_queue WHERE ${IS_PENDING} AND ${LIVE}`,
  );
  const pending = Number(row!.pending);
  if (pending === 0) return { check, status: "ok", message: "up to date with the ledger" };
  const lagMs = Math.max(0, now - Number(row!.oldest));
  const message = `${pending} contents wait, the oldest for ${Math.round(lagMs / 1000)} s`;
  if (lagMs <= LAG_MAX_MS) return { check, status: "ok", message };
  const advice = "Check that tidemark serve runs and that the number falls. Its log says why indexing fails.";
  return { check, status: "warning", message, advice };
}

async function examineFailed(sql: Sql): Promise<Finding> {
  const check = "failed records";
  const stores = await sql.all(
    `SELECT store_id, count(*) AS failed, min(version) AS first FROM index_queue
     WHERE ${IS_FAILED} AND ${LIVE} GROUP BY store_id ORDER BY store_id`,
  );
  const [first] = stores;
  if (!first) return { check, status: "ok", message: "none" };
  const failed = stores.reduce((sum, row) => sum + Number(row.failed), 0);
  const [row] = await sql.all("SELECT error FROM index_queue WHERE store_id = $1 AND version = $2", [
    first.store_id!,
    first.first!,
  ]);
  const where = nameSome(stores.map(({ store_id, failed }) => `${store_id} (${failed})`));
  const message = `${failed} failed in ${where}; the first error: ${row?.error ?? "unknown"}`;
  const advice =
    "Search does not find them by their current content. List them with tidemark index failed, fix the cause, and run tidemark index retry.";
  return { check, status: "warning", message, advice };
}

/** Search cannot use vectors of another model than the server's. */
async function examineModels(sql: Sql, { embeddingsUrl, embeddingsModel }: Config): Promise<Finding> {
  const check = "index model";
  const rows = await sql.all(
    `SELECT store_id, settings FROM index_builds b WHERE state IN ('active', 'building') AND ${LIVE}
       AND NOT EXISTS (SELECT 1 FROM index_builds newer WHERE newer.store_id = b.store_id
         AND newer.build > b.build AND newer.state IN ('active', 'building'))
     ORDER BY store_id`,
  );
  const model = embeddingsUrl ? embeddingsModel : null;
  const otherModels = rows.flatMap((row) => {
    const indexed = readBuildSettings(String(row.settings)).embeddings?.model;
    return indexed !== undefined && indexed !== model ? [`${row.store_id} (${indexed})`] : [];
  });
  if (otherModels.length === 0) {
    const message =
      model === null ? "every index is lexical" : `no index has vectors of a model other than ${model}`;
    return { check, status: "ok", message };
  }
  const configured = model === null ? "no endpoint is configured" : `the configured model is ${model}`;
  const advice =
    "New texts of these stores wait, and search in them is lexical. Configure their model again, or run tidemark index rebuild.";
  const message = `vectors of another model in ${nameSome(otherModels)}; ${configured}`;
  return { check, status: "warning", message, advice };
}

function nameSome(names: string[]): string {
  const more = names.length - NAMED_MAX;
  return names.slice(0, NAMED_MAX).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** Asks the embeddings endpoint for one small vector. */
export async function examineEmbeddings(config: Config): Promise<Finding> {
  const check = "embeddings";
  const embedder = openEmbedder({
    ...config,
    embeddingsTimeoutMs: Math.min(config.embeddingsTimeoutMs, ANSWER_WITHIN_MS),
  });
  if (!embedder) return { check, status: "ok", message: "no endpoint is configured: search is lexical" };
  // The URL's path and query may contain a key.
  const { host } = new URL(config.embeddingsUrl);
  const started = performance.now();
  try {
    const [vector] = await embedder.embed(["Tidemark"], { purpose: "chunk" });
    const ms = Math.round(performance.now() - started);
    const message = `${embedder.model} at ${host} answers within ${ms} ms, ${vector!.length} dimensions`;
    return { check, status: "ok", message };
  } catch (error) {
    const advice =
      "Check TIDEMARK_EMBEDDINGS_* and the endpoint. Until it answers, syncs continue, search is lexical, and new texts wait.";
    const message = `${embedder.model} at ${host}: ${(error as Error).message}`;
    return { check, status: "failed", message, advice };
  }
}
