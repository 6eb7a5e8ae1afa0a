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

/** The hand-written code that a sync and a check-exists are compared with. */
export interface HandWritten {
  /** Writes records with the durability of a sync; returns milliseconds. */
  write(namespace: string, records: BenchmarkRecord[]): Promise<number>;
  /** Looks up ids; returns milliseconds. */
  check(namespace: string, ids: string[]): Promise<number>;
  close(): Promise<void>;
}

/** A database engine for the benchmarks. */
export interface BenchmarkEngine {
  /** The URL of a new, empty database. */
  createDatabase(): Promise<string>;
  openHandWritten(): Promise<HandWritten>;
  /** Whether the engine can search vectors here. */
  embeds: boolean;
  /** Waits until the engine has indexed the vectors, if it indexes that many. */
  vectorsIndexed(databaseUrl: string, vectors: number): Promise<void>;
  /** The budget of a lexical search. */
  lexicalBudgetMs: number;
  /** Removes everything that the benchmarks created. */
  close(): Promise<void>;
}

export async function openSqliteEngine(): Promise<BenchmarkEngine> {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-bench-"));
  let databases = 0;
  return {
    createDatabase: async () => `file:${folder}/${databases++}/tidemark.db`,
    openHandWritten: async () => new HandwrittenSqlite(`${folder}/handwritten.db`),
    embeds: true,
    vectorsIndexed: async () => {},
    lexicalBudgetMs: 30,
    close: () => rm(folder, { recursive: true }),
  };
}

/** The server of `TEST_POSTGRES_URL`, or a new one with all durability settings on. */
export async function openPostgresEngine(): Promise<BenchmarkEngine> {
  const configuredUrl = process.env.TEST_POSTGRES_URL;
  const disk = await mkdtemp(join(tmpdir(), "tidemark-bench-"));
  const settings = { fsync: "on", shared_buffers: "1GB", max_wal_size: "4GB" };
  const server = configuredUrl ? undefined : await startPostgres({ disk, settings });
  const url = configuredUrl ?? server!.url;
  return {
    async createDatabase() {
      const databaseUrl = new URL(url);
      databaseUrl.searchParams.set("schema", `tidemark_bench_${randomBytes(6).toString("hex")}`);
      return databaseUrl.href;
    },
    // A server that this function starts has no pgvector.
    embeds: configuredUrl !== undefined,
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
    async openHandWritten() {
      const handWritten = new HandwrittenPostgres(url);
      await handWritten.open();
      return handWritten;
    },
    async close() {
      await server?.remove();
      await rm(disk, { recursive: true });
    },
  };
}
