import { rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { BenchmarkEngine } from "./engines.ts";
import type { BenchmarkRecord } from "./records.ts";
import { ServerProcess } from "./server-process.ts";
import { type Measurement, median, quantile, ratioTo } from "./statistics.ts";
import { makeTexts } from "./texts.ts";

const RECORDS = 100_000;
const BATCH = 5000;
/** The rows of one FTS5 transaction: as many as the indexer writes in one. */
const FTS5_BATCH = 500;

/** Indexing without embeddings, compared with bare FTS5; and syncs while the indexer works. */
export async function measureIndexing(engine: BenchmarkEngine): Promise<Measurement[]> {
  const server = new ServerProcess(await engine.createDatabase());
  const off = { TIDEMARK_INDEXING: "off" };
  await server.start(off);
  await server.createTenant();
  const load = async (namespace: string, from: number) =>
    (await server.post("sync", server.syncBody(namespace, makeTexts(from, BATCH)))).ms;
  for (let from = 0; from < RECORDS; from += BATCH) await load("texts", from);
  const alone: number[] = [];
  for (let i = 0; i < 8; i++) alone.push(await load("alone", i * BATCH));
  await server.end();

  await server.start();
  const started = performance.now();
  await server.untilIndexed();
  const indexed = performance.now() - started;
  const all = RECORDS + alone.length * BATCH;
  await server.end();

  // Each sync adds to a backlog, so that the indexer works without a pause.
  await server.start(off);
  for (let from = 0; from < RECORDS; from += BATCH) await load("backlog", from);
  await server.end();
  await server.start();
  const whileIndexing: number[] = [];
  while ((await server.pending()) > BATCH && whileIndexing.length < 12)
    whileIndexing.push(await load("while_indexing", whileIndexing.length * BATCH));
  await server.end();

  const perRecord = indexed / all;
  const bare = writeFts5(makeTexts(0, RECORDS)) / RECORDS;
  return [
    {
      ...ratioTo(
        "indexing of a record of 1 KB",
        perRecord,
        "bare FTS5 insert",
        bare,
        Number.POSITIVE_INFINITY,
      ),
      measured: `${Math.round(1000 / perRecord)} records/s`,
      comparedWith: `bare FTS5 inserts: ${Math.round(1000 / bare)} records/s`,
      budget: "",
    },
    ratioTo(
      `sync of ${BATCH} while the indexer works without a pause (slowest ${Math.round(quantile(whileIndexing, 1))} ms)`,
      median(whileIndexing),
      "alone",
      median(alone),
      1.5,
    ),
  ];
}

/** Inserts the texts into FTS5 with the same durability; returns milliseconds. */
function writeFts5(records: BenchmarkRecord[]): number {
  const path = `/tmp/tidemark-fts5-${process.pid}.db`;
  const database = new DatabaseSync(path);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  database.exec("CREATE VIRTUAL TABLE texts USING fts5(title, description, tokenize = 'porter unicode61')");
  const insert = database.prepare("INSERT INTO texts VALUES (?, ?)");
  const started = performance.now();
  for (let from = 0; from < records.length; from += FTS5_BATCH) {
    database.exec("BEGIN");
    for (const { data } of records.slice(from, from + FTS5_BATCH)) {
      insert.run(String(data.title), String(data.description));
    }
    database.exec("COMMIT");
  }
  const took = performance.now() - started;
  database.close();
  for (const end of ["", "-wal", "-shm"]) rmSync(path + end, { force: true });
  return took;
}
