import { accessSync, constants } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { TestContext } from "node:test";
import type { Storage } from "../src/storage/port.ts";
import { sqlitePath } from "../src/storage/sqlite/path.ts";

/** A database engine as the tests need it. */
export interface TestEngine {
  name: string;
  /**
   * The URL of a new, empty database that is removed when the test ends.
   * @param options.quick for tests that make thousands of commits and care only for what they say: in memory where
   *   the machine has room for that, so that no disk is waited for
   */
  createDatabase(t: TestContext, options?: { quick?: boolean }): Promise<string>;
  /** Makes a database look as if a later version of Tidemark had upgraded it. */
  pretendNewerSchema(databaseUrl: string): Promise<void>;
  /** Every table that has rows of vector stores, by their `store_id`. */
  storeTables(storage: Storage): Promise<string[]>;
  /** What the engine itself finds wrong with a database's files. */
  findCorruption(storage: Storage): Promise<string[]>;
}

const sqlite: TestEngine = {
  name: "SQLite",

  async createDatabase(t, { quick = false } = {}) {
    const folder = await mkdtemp(join(quick ? memoryFolder() : tmpdir(), "tidemark-test-"));
    t.after(() => rm(folder, { recursive: true, force: true }));
    return `file:${folder}/tidemark.db`;
  },

  async pretendNewerSchema(databaseUrl) {
    const database = new DatabaseSync(sqlitePath(databaseUrl));
    database.exec("PRAGMA user_version = 999999");
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
    const found = await storage.read((sql) => sql.all("PRAGMA integrity_check"));
    return found.map(({ integrity_check }) => String(integrity_check)).filter((text) => text !== "ok");
  },
};

/** A folder whose files are in memory; the usual one where there is none. */
function memoryFolder(): string {
  try {
    accessSync("/dev/shm", constants.W_OK);
    return "/dev/shm";
  } catch {
    return tmpdir();
  }
}

/** Every engine that the conformance and model tests run on: a new one passes them by being listed here. */
export const engines: TestEngine[] = [sqlite];
