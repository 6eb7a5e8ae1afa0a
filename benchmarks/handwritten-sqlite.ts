import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { BenchmarkRecord } from "./records.ts";

/** Plain hand-written code: one table and one transaction, as durable as Tidemark (WAL, synchronous FULL). */
export class HandwrittenSqlite {
  #database: DatabaseSync;
  #upsert: StatementSync;
  #exists: StatementSync;

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    this.#database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    this.#database.exec(
      `CREATE TABLE records (store_id TEXT, namespace TEXT, id TEXT, data TEXT NOT NULL, source_system TEXT,
         synced_at INTEGER NOT NULL, PRIMARY KEY (store_id, namespace, id)) STRICT`,
    );
    this.#upsert = this.#database.prepare(
      `INSERT INTO records VALUES ('vs_01jd0y3k9r8m2n4p6q8s0t2v4w', ?, ?, ?, 'benchmark', ?)
       ON CONFLICT DO UPDATE SET data = excluded.data, synced_at = excluded.synced_at`,
    );
    this.#exists = this.#database.prepare(
      `SELECT j.value AS id FROM json_each(?) j CROSS JOIN records r
       ON r.store_id = 'vs_01jd0y3k9r8m2n4p6q8s0t2v4w' AND r.namespace = ? AND r.id = j.value`,
    );
  }

  /** Writes the records in one transaction; returns milliseconds. */
  async write(namespace: string, records: BenchmarkRecord[]): Promise<number> {
    const started = performance.now();
    this.#database.exec("BEGIN IMMEDIATE");
    const now = Date.now();
    for (const { id, data } of records) this.#upsert.run(namespace, id, JSON.stringify(data), now);
    this.#database.exec("COMMIT");
    return performance.now() - started;
  }

  /** Looks up the ids in one query; returns milliseconds. */
  async check(namespace: string, ids: string[]): Promise<number> {
    const started = performance.now();
    this.#exists.all(JSON.stringify(ids), namespace);
    return performance.now() - started;
  }

  async close(): Promise<void> {
    this.#database.close();
  }
}
