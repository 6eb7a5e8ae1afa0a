/**
 * Measures how many of the ten nearest vectors PostgreSQL's search finds, and how long it takes: in 100,000 vectors of
 * 384 dimensions (see made-vectors.ts) in random namespaces. The benchmark computes the exact answers itself.
 *
 *   node benchmarks/recall.ts POSTGRES_URL [--vectors=N] [--dimensions=N] [--queries=N] [--kinds=clustered,independent]
 *     [--keep]
 *
 * The server needs pgvector. The benchmark uses its own schema and removes it at the end.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Client } from "pg";
import type { Build, Candidate } from "../packages/server/src/storage/index-port.ts";
import { openStorage } from "../packages/server/src/storage/open.ts";
import type { Storage } from "../packages/server/src/storage/port.ts";
import { readTextSettings } from "../packages/server/src/text/settings.ts";
import { clustered, independent, seeded } from "./made-vectors.ts";
import { ms, quantile } from "./statistics.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    vectors: { type: "string", default: "100000" },
    dimensions: { type: "string", default: "384" },
    queries: { type: "string", default: "200" },
    kinds: { type: "string", default: "clustered,independent" },
    keep: { type: "boolean", default: false },
  },
});
const [VECTORS, DIMENSIONS, QUERIES] = [options.vectors, options.dimensions, options.queries].map(Number) as [
  number,
  number,
  number,
];
const BATCH = 500;
const DEPTH = 10;
/** Search asks for twice as many candidates as the fusion uses. */
const LIMITS = [DEPTH, 100];

/** Namespaces with 1 %, 10 %, 30 % and the rest of the vectors; each ends at a share of all vectors. */
const NAMESPACES: [name: string, upTo: number][] = [
  ["one", 0.01],
  ["ten", 0.11],
  ["thirty", 0.41],
  ["rest", 1],
];
const FILTERS: [what: string, namespaces: string[] | null][] = [
  ["1 %", ["one"]],
  ["10 %", ["ten"]],
  ["30 %", ["thirty"]],
  ["100 %, named", NAMESPACES.map(([name]) => name)],
  ["100 %", null],
];
const STORE = "vs_benchmark";
const BUILD: Build = {
  settings: { rules: 1, text: readTextSettings({}), embeddings: null },
  ...{ build: 1, state: "active", space: 1, nextChunk: 0, nextSegment: 0 },
  ...{ chunks: VECTORS, terms: VECTORS, walked: null, createdAt: 0 },
};

const url = new URL(positionals[0] ?? "");
const schema = url.searchParams.get("schema") ?? `tidemark_recall_${randomBytes(6).toString("hex")}`;
url.searchParams.set("schema", schema);
const admin = new Client({ connectionString: positionals[0]! });
await admin.connect();
await admin.query("CREATE EXTENSION IF NOT EXISTS vector");

printRow(["vectors", "filter", "results", "recall@10", "p50", "p99"]);
printRow(["---", "---", "---", "---", "---", "---"]);
for (const name of options.kinds.split(",")) {
  const make = name === "clustered" ? clustered : independent;
  await admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  const storage = await openStorage(url.href, { timeoutMs: 60_000 });
  const next = make(DIMENSIONS, seeded(1));
  const vectors = Array.from({ length: VECTORS }, next);
  const queries = Array.from({ length: QUERIES }, next);
  const random = seeded(2);
  const namespaces = vectors.map(() => {
    const at = random();
    return NAMESPACES.find(([, upTo]) => at < upTo)![0];
  });
  await timed(`${name}: storing ${VECTORS} vectors`, () => fill(storage, vectors, namespaces));
  await timed(`${name}: building the index`, () => makeIndex(storage));
  for (const [what, names] of FILTERS) {
    const allowed = namespaces.flatMap((namespace, chunk) =>
      !names || names.includes(namespace) ? [chunk] : [],
    );
    const nearest = queries.map((query) => exact(query, vectors, allowed));
    for (const limit of LIMITS) {
      const { recall, times } = await measure(storage, queries, nearest, names, limit);
      const row = [name, what, limit, recall.toFixed(4), ms(quantile(times, 0.5)), ms(quantile(times, 0.99))];
      printRow(row.map(String));
    }
  }
  await storage.close();
}
if (!options.keep) await admin.query(`DROP SCHEMA ${schema} CASCADE`);
await admin.end();

/** Stores the vectors as the indexer does, each as the only chunk of a record. */
async function fill(storage: Storage, vectors: Float32Array[], namespaces: string[]): Promise<void> {
  for (let from = 0; from < vectors.length; from += BATCH) {
    await storage.ledger(STORE, async ({ index }) => {
      if (from === 0) await index.putBuild(BUILD);
      const batch = vectors.slice(from, from + BATCH);
      const hashes = batch.map((_, at) => `hash ${from + at}`);
      await index.addVectors(
        1,
        batch.map((embedding, at) => ({ hash: hashes[at]!, embedding })),
      );
      const numbers = await index.findVectors(1, hashes);
      const chunks = batch.map((_, at) => ({
        ...{ chunk: from + at, namespace: namespaces[from + at]!, id: String(from + at), version: from + at },
        ...{ ordinal: 0, text: "", terms: 1, vector: numbers.get(hashes[at]!)! },
      }));
      await index.addChunks(1, chunks);
    });
  }
}

async function makeIndex(storage: Storage): Promise<void> {
  const problem = await storage.index.maintainVectors(STORE);
  if (problem !== null) throw new Error(problem);
  for (;;) {
    const { rows } = await admin.query(
      `SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
       WHERE c.relnamespace = $1::regnamespace AND c.relname LIKE 'vectors_near%' AND i.indisvalid`,
      [schema],
    );
    if (rows.length > 0) return;
    await pause(100);
  }
}

async function measure(
  storage: Storage,
  queries: Float32Array[],
  nearest: number[][],
  namespaces: string[] | null,
  limit: number,
): Promise<{ recall: number; times: number[] }> {
  const ask = (query: Float32Array) =>
    storage.index.search(STORE, (index) => index.nearest(BUILD, query, namespaces, limit));
  // The first reads measure the disk, so they are not counted.
  for (const query of queries.slice(0, 20)) await ask(query);
  const times: number[] = [];
  let hits = 0;
  for (const [number, query] of queries.entries()) {
    const started = performance.now();
    const near: Candidate[] = await ask(query);
    times.push(performance.now() - started);
    const best = new Set(near.slice(0, DEPTH).map(({ chunk }) => chunk));
    hits += nearest[number]!.filter((chunk) => best.has(chunk)).length;
  }
  return { recall: hits / (queries.length * DEPTH), times };
}

/** The numbers of the nearest vectors, by comparing all of them. */
function exact(query: Float32Array, vectors: Float32Array[], allowed: number[]): number[] {
  const scored = allowed.map((number) => {
    const vector = vectors[number]!;
    let sum = 0;
    for (let i = 0; i < query.length; i++) sum += query[i]! * vector[i]!;
    return { number, sum };
  });
  return scored
    .sort((a, b) => b.sum - a.sum)
    .slice(0, DEPTH)
    .map(({ number }) => number);
}

async function timed(label: string, work: () => Promise<void>): Promise<void> {
  const started = performance.now();
  await work();
  console.error(`${label}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

function printRow(cells: string[]): void {
  console.log(`| ${cells.join(" | ")} |`);
}
