import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
