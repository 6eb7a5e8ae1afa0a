import { rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { BenchmarkEngine } from "./engines.ts";
import type { BenchmarkRecord } from "./records.ts";
import { ServerProcess } from "./server-process.ts";
import { type Measurement, median, quantile, ratioTo } from "./statistics.ts";
import { makeTexts } from "./texts.ts";

const RECORDS = 100_000;
const BATCH = 5000;
/** Rows that one transaction of the bare FTS5 has: as many as one of the indexer's. */
const FTS5_BATCH = 500;

/** Indexing without embeddings, beside bare FTS5; and syncs while it goes on. */
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
  await server.untilLevel();
  const indexed = performance.now() - started;
  const all = RECORDS + alone.length * BATCH;
  await server.end();

  // A backlog, and more of it with each sync: the indexer has no pause.
  await server.start(off);
  for (let from = 0; from < RECORDS; from += BATCH) await load("backlog", from);
  await server.end();
  await server.start();
  const beside: number[] = [];
  while ((await server.pending()) > BATCH && beside.length < 12)
    beside.push(await load("beside", beside.length * BATCH));
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
      beside: `bare FTS5 inserts: ${Math.round(1000 / bare)} records/s`,
      budget: "",
    },
    ratioTo(
      `sync of ${BATCH} while the indexer runs flat out (slowest ${Math.round(quantile(beside, 1))} ms)`,
      median(beside),
      "alone",
      median(alone),
      1.5,
    ),
  ];
}

/** The same texts in FTS5, as durable; milliseconds. */
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
