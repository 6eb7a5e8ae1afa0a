import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Client } from "pg";
import { INDEXED_VECTORS } from "../packages/server/src/storage/postgres/vectors.ts";
import { startPostgres } from "../packages/server/test/postgres-server.ts";
import { HandwrittenPostgres } from "./handwritten-postgres.ts";
import { HandwrittenSqlite } from "./handwritten-sqlite.ts";
import type { BenchmarkRecord } from "./records.ts";

/** What is measured beside a sync and a check-exists. */
export interface ByHand {
  /** Writes records, as durable as ours; milliseconds. */
  write(namespace: string, records: BenchmarkRecord[]): Promise<number>;
  /** Looks ids up; milliseconds. */
  check(namespace: string, ids: string[]): Promise<number>;
  close(): Promise<void>;
}

/** A database engine as the benchmarks need it. */
export interface BenchmarkEngine {
  /** The URL of a new, empty database. */
  createDatabase(): Promise<string>;
  openByHand(): Promise<ByHand>;
  /** Whether it can compare vectors here. */
  embeds: boolean;
  /** Waits until so many vectors have their index, if the engine makes one. */
  vectorsIndexed(databaseUrl: string, vectors: number): Promise<void>;
  /** What a search by words may take. */
  lexicalBudgetMs: number;
  /** Removes all that was made. */
  close(): Promise<void>;
}

export async function openSqliteEngine(): Promise<BenchmarkEngine> {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-bench-"));
  let databases = 0;
  return {
    createDatabase: async () => `file:${folder}/${databases++}/tidemark.db`,
    openByHand: async () => new HandwrittenSqlite(`${folder}/by-hand.db`),
    embeds: true,
    vectorsIndexed: async () => {},
    lexicalBudgetMs: 30,
    close: () => rm(folder, { recursive: true }),
  };
}

/** The server of `TEST_POSTGRES_URL`, or one that is started with everything that makes it durable. */
export async function openPostgresEngine(): Promise<BenchmarkEngine> {
  const given = process.env.TEST_POSTGRES_URL;
  const disk = await mkdtemp(join(tmpdir(), "tidemark-bench-"));
  const settings = { fsync: "on", shared_buffers: "1GB", max_wal_size: "4GB" };
  const server = given ? undefined : await startPostgres({ disk, settings });
  const url = given ?? server!.url;
  return {
    async createDatabase() {
      const ours = new URL(url);
      ours.searchParams.set("schema", `tidemark_bench_${randomBytes(6).toString("hex")}`);
      return ours.href;
    },
    // The server that is started here has no pgvector.
    embeds: given !== undefined,
    async vectorsIndexed(databaseUrl, vectors) {
      if (vectors <= INDEXED_VECTORS) return;
      const client = new Client({ connectionString: url });
      await client.connect();
      const isReady = `SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE c.relnamespace = $1::regnamespace AND c.relname LIKE 'vectors_near%' AND i.indisvalid`;
      const schema = new URL(databaseUrl).searchParams.get("schema");
      while ((await client.query(isReady, [schema])).rows.length === 0) await pause(500);
      await client.end();
    },
    lexicalBudgetMs: 60,
    async openByHand() {
      const byHand = new HandwrittenPostgres(url);
      await byHand.open();
      return byHand;
    },
    async close() {
      await server?.remove();
      await rm(disk, { recursive: true });
    },
  };
}
