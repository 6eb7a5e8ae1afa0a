import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { TestContext } from "node:test";
import { Client } from "pg";
import type { Storage } from "../src/storage/port.ts";
import { sqlitePath } from "../src/storage/sqlite/path.ts";
import { memoryFolder } from "./memory-folder.ts";
import { postgresUrl } from "./postgres-server.ts";
import { whenDone } from "./when-done.ts";

/** A database engine as the tests need it. */
export interface TestEngine {
  name: string;
  /** The share of a random test's rounds to run: commits take longer on some engines. */
  share: number;
  /** Server processes that share a database under load: SQLite serves waiting processes in no fair order. */
  servers: number;
  /**
   * The URL of a new, empty database that is removed when the test ends.
   * @param options.quick creates it in memory if possible, for tests with thousands of commits that need no disk
   */
  createDatabase(t: TestContext, options?: { quick?: boolean }): Promise<string>;
  /** Makes a database look as if a later version of Tidemark had upgraded it. */
  pretendNewerSchema(databaseUrl: string): Promise<void>;
  /** Makes an empty database look as if an earlier version of Tidemark had made it. */
  pretendOlderSchema(databaseUrl: string): Promise<void>;
  /** Every table that has rows of vector stores, by their `store_id`. */
  storeTables(storage: Storage): Promise<string[]>;
  /** The faults that the engine itself finds in a database's files. */
  findCorruption(storage: Storage): Promise<string[]>;
}

const sqlite: TestEngine = {
  name: "SQLite",
  share: 1,
  servers: 1,

  async createDatabase(t, { quick = false } = {}) {
    const folder = await mkdtemp(join(quick ? memoryFolder() : tmpdir(), "tidemark-test-"));
    whenDone(t, () => rm(folder, { recursive: true, force: true }));
    return `file:${folder}/tidemark.db`;
  },

  async pretendNewerSchema(databaseUrl) {
    const database = new DatabaseSync(sqlitePath(databaseUrl));
    database.exec("PRAGMA user_version = 999999");
    database.close();
  },

  async pretendOlderSchema(databaseUrl) {
    const database = new DatabaseSync(sqlitePath(databaseUrl));
    database.exec("CREATE TABLE organizations (id TEXT PRIMARY KEY); PRAGMA user_version = 1");
    database.close();
  },

  async storeTables(storage) {
    const tables = await storage.read((sql) =>
      sql.all(
        `SELECT t.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
         WHERE t.type = 'table' AND c.name = 'store_id'`,
      ),
    );
    return tables.map(({ name }) => String(name));
  },

  async findCorruption(storage) {
    const rows = await storage.read((sql) => sql.all("PRAGMA integrity_check"));
    return rows.map(({ integrity_check }) => String(integrity_check)).filter((text) => text !== "ok");
  },
};

export const postgres: TestEngine = {
  name: "PostgreSQL",
  share: 1 / 10,
  servers: 2,

  async createDatabase(t) {
    const url = new URL(await postgresUrl());
    const schema = `tidemark_test_${randomBytes(6).toString("hex")}`;
    url.searchParams.set("schema", schema);
    whenDone(t, () => onPostgres(url.href, `DROP SCHEMA IF EXISTS ${schema} CASCADE`));
    return url.href;
  },

  async pretendNewerSchema(databaseUrl) {
    const schema = new URL(databaseUrl).searchParams.get("schema");
    await onPostgres(databaseUrl, `INSERT INTO ${schema}.schema_migrations VALUES (999999, now())`);
  },

  async pretendOlderSchema(databaseUrl) {
    const schema = new URL(databaseUrl).searchParams.get("schema");
    await onPostgres(
      databaseUrl,
      `CREATE SCHEMA ${schema}
       CREATE TABLE schema_migrations (number int PRIMARY KEY, applied_at timestamptz NOT NULL)`,
    );
    await onPostgres(databaseUrl, `INSERT INTO ${schema}.schema_migrations VALUES (1, now())`);
  },

  async storeTables(storage) {
    const tables = await storage.read((sql) =>
      sql.all(
        `SELECT table_name AS name FROM information_schema.columns
         WHERE table_schema = current_schema() AND column_name = 'store_id'`,
      ),
    );
    return tables.map(({ name }) => String(name));
  },

  // PostgreSQL's check of indexes is an extension that not every server has.
  findCorruption: async () => [],
};

/** Runs one statement on a server without Tidemark. */
async function onPostgres(databaseUrl: string, text: string): Promise<void> {
  const url = new URL(databaseUrl);
  url.searchParams.delete("schema");
  const client = new Client({ connectionString: url.href });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

/** The engine of tests that are not about engines: SQLite, or the one that `TIDEMARK_TEST_ENGINE` names. */
export function usualEngine(): TestEngine {
  return engines.find(({ name }) => name === process.env.TIDEMARK_TEST_ENGINE) ?? sqlite;
}

/** The engines that the conformance and model tests run on: list a new one here to test it. */
export const engines: TestEngine[] = [sqlite, postgres];
