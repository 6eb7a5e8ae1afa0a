import { Client } from "pg";
import type { BenchmarkRecord } from "./records.ts";

/** Plain hand-written code: one table, one `unnest … ON CONFLICT` statement in a transaction. */
export class HandwrittenPostgres {
  #client: Client;

  constructor(url: string) {
    this.#client = new Client({ connectionString: url });
  }

  async open(): Promise<void> {
    await this.#client.connect();
    await this.#client.query(
      `CREATE SCHEMA handwritten;
       CREATE TABLE handwritten.records (store_id text, namespace text, id text, data text NOT NULL, source_system text,
         synced_at bigint NOT NULL, PRIMARY KEY (store_id, namespace, id))`,
    );
  }

  /** Writes the records in one transaction; returns milliseconds. */
  async write(namespace: string, records: BenchmarkRecord[]): Promise<number> {
    const started = performance.now();
    await this.#client.query("BEGIN; SET LOCAL synchronous_commit = on");
    await this.#client.query(
      `INSERT INTO handwritten.records
       SELECT 'vs_01jd0y3k9r8m2n4p6q8s0t2v4w', $1, id, data, 'benchmark', $4
       FROM unnest($2::text[], $3::text[]) r(id, data)
       ON CONFLICT (store_id, namespace, id) DO UPDATE SET data = excluded.data, synced_at = excluded.synced_at`,
      [namespace, records.map(({ id }) => id), records.map(({ data }) => JSON.stringify(data)), Date.now()],
    );
    await this.#client.query("COMMIT");
    return performance.now() - started;
  }

  /** Looks up the ids in one query; returns milliseconds. */
  async check(namespace: string, ids: string[]): Promise<number> {
    const started = performance.now();
    await this.#client.query(
      `SELECT id FROM handwritten.records
       WHERE store_id = 'vs_01jd0y3k9r8m2n4p6q8s0t2v4w' AND namespace = $1 AND id = ANY ($2)`,
      [namespace, ids],
    );
    return performance.now() - started;
  }

  async close(): Promise<void> {
    await this.#client.query("DROP SCHEMA handwritten CASCADE");
    await this.#client.end();
  }
}
