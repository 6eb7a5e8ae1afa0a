import assert from "node:assert/strict";
import { openCommands } from "../src/commands.ts";
import { readConfig } from "../src/config.ts";
import type { SqlRow, Storage } from "../src/storage/port.ts";
import { IS_CURRENT } from "../src/storage/visibility.ts";
import { chunkRecord } from "../src/text/record-text.ts";
import { readTextSettings } from "../src/text/settings.ts";
import type { EmbeddingsServer } from "./embeddings-server.ts";
import { sweepAll } from "./test-ledger.ts";
import { indexAll, type Tenant } from "./test-server.ts";

/** A word that only this number has, without digits and without endings that a stemmer would remove. */
export const wordOf = (number: number): string =>
  `x${number
    .toString(8)
    .padStart(5, "0")
    .replace(/\d/g, (digit) => "bcdfghjk"[Number(digit)]!)}`;

/** The most records that are searched one by one. */
const SEARCHED_MAX = 200;

/** A live record of the ledger. */
interface LiveRecord {
  namespace: string;
  id: string;
  version: number;
  data: { word: string };
}

/** Makes every queue entry due, even if another process has claimed it. */
export async function releaseEntries(storage: Storage, storeId: string): Promise<void> {
  await storage.write(
    (sql) =>
      sql.all("UPDATE index_queue SET due_at = 0 WHERE store_id = $1 AND due_at IS NOT NULL", [storeId]),
    storeId,
  );
}

/**
 * Checks a store whose index is up to date and whose records each have a unique `word`: after sweeping, the index has
 * exactly the rows that the records need, and search finds each record by its word.
 * @param endpoint whose vectors the chunks must have
 * @param gone words that no record has any longer
 * @returns the numbers of records and chunks
 */
export async function checkIndexed(
  storage: Storage,
  { organizationId, storeId }: Tenant,
  endpoint: EmbeddingsServer,
  gone: string[],
): Promise<{ records: number; chunks: number }> {
  const commands = openCommands(
    storage,
    readConfig({}, { embeddingsUrl: endpoint.url, embeddingsModel: "test-model" }),
  );
  const asked = endpoint.texts.length;
  await sweepAll(storage, Date.now());
  await indexAll(commands);
  while ((await storage.index.sweep(Date.now())).more);
  assert.equal(endpoint.texts.length, asked, "every chunk had a vector already");

  const read = (text: string) => storage.read((sql) => sql.all(text, [storeId]));
  const live = await readLive(read);
  const builds = await read(
    "SELECT build, state, space, chunks, terms FROM index_builds WHERE store_id = $1",
  );
  assert.deepEqual(
    builds.map(({ state }) => state),
    ["active"],
    "one index",
  );
  const [build] = builds;
  const entries = await read("SELECT count(*) AS count FROM index_queue WHERE store_id = $1");
  assert.equal(Number(entries[0]!.count), 0, "no entry is left");

  const chunks = await read("SELECT * FROM chunks WHERE store_id = $1");
  const shown = chunks.map(({ namespace, id, version, ordinal, text }) =>
    JSON.stringify([namespace, id, Number(version), Number(ordinal), text]),
  );
  const expected = live.flatMap(({ namespace, id, version, data }) =>
    chunkRecord(data, readTextSettings({})).map(({ text }, ordinal) =>
      JSON.stringify([namespace, id, version, ordinal, text]),
    ),
  );
  assert.deepEqual(shown.sort(), expected.sort(), "each record has each of its current chunks once");
  assert.ok(chunks.every((chunk) => Number(chunk.build) === Number(build!.build)));
  const terms = chunks.reduce((sum, { terms }) => sum + Number(terms), 0);
  assert.deepEqual(
    [Number(build!.chunks), Number(build!.terms)],
    [chunks.length, terms],
    "the build's counts",
  );
  const numbers = new Set(chunks.map(({ chunk }) => Number(chunk)));
  assert.equal(numbers.size, chunks.length, "each chunk has its own number");

  const vectors = await read("SELECT vector, space, embedding FROM vectors WHERE store_id = $1");
  await checkVectors(chunks, vectors, Number(build!.space), endpoint);

  const find = async (query: string) => {
    const { data } = await commands.search(organizationId, storeId, { query, mode: "lexical", limit: 100 });
    return data.map(({ namespace, id }) => [namespace, id]);
  };
  for (const { namespace, id, data } of live.slice(0, SEARCHED_MAX))
    assert.deepEqual(await find(data.word), [[namespace, id]]);
  for (const word of gone) assert.deepEqual(await find(word), [], `${word} is gone`);
  return { records: live.length, chunks: chunks.length };
}

async function readLive(read: (text: string) => Promise<SqlRow[]>): Promise<LiveRecord[]> {
  const rows = await read(
    `SELECT r.namespace, r.id, r.version, c.content FROM records r
     JOIN namespaces n ON n.store_id = r.store_id AND n.namespace = r.namespace
     JOIN contents c ON c.store_id = r.store_id AND c.version = r.version
     WHERE r.store_id = $1 AND ${IS_CURRENT}`,
  );
  return rows.map(({ namespace, id, version, content }) => ({
    namespace: String(namespace),
    id: String(id),
    version: Number(version),
    data: JSON.parse(String(content)).data,
  }));
}

/** Checks that every chunk has the endpoint's vector for its text, scaled to length 1. */
async function checkVectors(
  chunks: SqlRow[],
  vectors: SqlRow[],
  space: number,
  endpoint: EmbeddingsServer,
): Promise<void> {
  const own = vectors.filter((vector) => Number(vector.space) === space);
  const stored = new Map(own.map(({ vector, embedding }) => [Number(vector), numbersOf(embedding)]));
  const texts = [...new Set(chunks.map(({ text }) => String(text)))];
  const response = await fetch(`${endpoint.url}/embeddings`, {
    method: "POST",
    body: JSON.stringify({ model: "test-model", input: texts }),
  });
  const { data } = (await response.json()) as { data: { index: number; embedding: number[] }[] };
  const embeddings = new Map(data.map(({ index, embedding }) => [texts[index], embedding]));
  for (const { text, vector } of chunks) {
    const expected = embeddings.get(String(text))!;
    const length = Math.hypot(...expected);
    const actual = stored.get(Number(vector)) ?? assert.fail(`${text} has a vector`);
    assert.ok(
      actual.length === expected.length &&
        actual.every((number, index) => Math.abs(number - expected[index]! / length) < 1e-5),
      `${text} has its own vector`,
    );
  }
}

/** The numbers of a vector as an engine returns it. */
function numbersOf(embedding: unknown): number[] {
  if (!(embedding instanceof Uint8Array)) return embedding as number[];
  const { buffer, byteLength } = embedding.slice();
  return [...new Float32Array(buffer, 0, byteLength / 4)];
}
