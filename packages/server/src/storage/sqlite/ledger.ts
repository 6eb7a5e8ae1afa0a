import type {
  LedgerTransaction,
  LedgerWrites,
  NamespaceIds,
  NamespaceState,
  RecordRow,
  RecordSum,
  RunNamespace,
  SyncRow,
} from "../port.ts";
import { NEW_NAMESPACE } from "../rules.ts";
import { IS_CURRENT, isOf } from "../visibility.ts";
import type { Connection } from "./connection.ts";
import { ENQUEUE } from "./enqueue.ts";
import { SqliteIndexTransaction } from "./index-transaction.ts";
import { SqliteRefreshRuns } from "./refresh-runs.ts";
import { updateRows } from "./update-rows.ts";

/** A sync's transaction on SQLite. It begins by taking the write lock, so no other sync can change what it reads. */
export class SqliteLedgerTransaction implements LedgerTransaction {
  readonly index: SqliteIndexTransaction;
  readonly runs: SqliteRefreshRuns;
  #connection: Connection;
  #storeId: string;

  constructor(connection: Connection, storeId: string) {
    this.#connection = connection;
    this.#storeId = storeId;
    this.runs = new SqliteRefreshRuns(connection, storeId);
    this.index = new SqliteIndexTransaction(connection, storeId);
  }

  async storeExists(): Promise<boolean> {
    const select = this.#connection.statement(
      "SELECT 1 FROM vector_stores WHERE id = ?1 AND deleted_at IS NULL",
    );
    return select.get(this.#storeId) !== undefined;
  }

  async nextRevision(): Promise<number> {
    const bump = this.#connection.statement(
      `INSERT INTO store_revisions (store_id, revision) VALUES (?1, 1)
       ON CONFLICT (store_id) DO UPDATE SET revision = revision + 1 RETURNING revision`,
    );
    return bump.get(this.#storeId)!.revision as number;
  }

  async readNamespaces(names: string[]): Promise<NamespaceState[]> {
    const select = this.#connection.statement(
      `SELECT generation, next_generation, CAST(refreshed_at AS TEXT) AS refreshed_at,
         CAST(newest_at AS TEXT) AS newest_at, CAST(purged_at AS TEXT) AS purged_at, records, digest
       FROM namespaces WHERE store_id = ?1 AND namespace = ?2`,
    );
    return names.map((namespace) => {
      const row = select.get(this.#storeId, namespace) as Record<string, string & number> | undefined;
      if (!row) return { namespace, ...NEW_NAMESPACE };
      return {
        namespace,
        generation: row.generation!,
        nextGeneration: row.next_generation!,
        refreshedAt: BigInt(row.refreshed_at!),
        newestAt: BigInt(row.newest_at!),
        purgedAt: BigInt(row.purged_at!),
        records: row.records!,
        digest: BigInt(`0x${row.digest}`),
      };
    });
  }

  /** Reads each namespace's rows as one JSON text, several times faster than thousands of rows through the binding. */
  async rowsOf(keys: NamespaceIds[]): Promise<RecordRow[]> {
    const select = this.#connection.statement(
      `SELECT json_group_array(json_array(
         j.key, r.generation, r.carried_in, r.also_carried_in, CAST(r.decided_at AS TEXT), r.version, r.hash,
         r.fingerprint, r.written_at, r.indexed)) AS found
       FROM json_each(?1) j CROSS JOIN records r
         ON r.store_id = ?2 AND r.namespace = ?3 AND r.id = j.value
       JOIN namespaces n ON n.store_id = r.store_id AND n.namespace = r.namespace
       WHERE ${IS_CURRENT} OR EXISTS (SELECT 1 FROM refresh_run_namespaces o
         WHERE o.store_id = ?2 AND o.namespace = ?3 AND ${isOf("o.generation")})`,
    );
    type Found = [
      ...[number, number, number | null, number | null],
      ...[string | null, number | null, string | null, string | null, number, number | null],
    ];
    return keys.flatMap(({ namespace, ids }) => {
      const { found } = select.get(JSON.stringify(ids), this.#storeId, namespace) as { found: string };
      return (JSON.parse(found) as Found[]).map(
        ([
          index,
          generation,
          carriedIn,
          alsoCarriedIn,
          decidedAt,
          version,
          hash,
          fingerprint,
          writtenAt,
          indexed,
        ]) => ({
          namespace,
          id: ids[index]!,
          generation,
          carriedIn,
          alsoCarriedIn,
          decidedAt: decidedAt === null ? null : BigInt(decidedAt),
          version,
          hash,
          fingerprint,
          writtenAt,
          indexed,
        }),
      );
    });
  }

  async decidedAfter(namespace: NamespaceState, ns: bigint): Promise<RecordSum> {
    const select = this.#connection.statement(
      `SELECT r.hash FROM records r
       JOIN namespaces n ON n.store_id = r.store_id AND n.namespace = r.namespace
       WHERE r.store_id = ?1 AND r.namespace = ?2 AND r.version IS NOT NULL
         AND r.decided_at > ?3 AND ${IS_CURRENT}`,
    );
    let records = 0;
    let digest = 0n;
    for (const { hash } of select.iterate(this.#storeId, namespace.namespace, ns)) {
      records++;
      digest += BigInt(`0x${hash}`);
    }
    return { records, digest: BigInt.asUintN(256, digest) };
  }

  async clearedSample(
    { namespace }: NamespaceState,
    run: RunNamespace,
    ids: string[],
    limit: number,
  ): Promise<string[]> {
    const select = this.#connection.statement(
      `SELECT r.id FROM records r
       JOIN namespaces n ON n.store_id = r.store_id AND n.namespace = r.namespace
       WHERE r.store_id = ?1 AND r.namespace = ?2 AND r.version IS NOT NULL AND ${IS_CURRENT}
         AND coalesce(r.decided_at, 0) <= ?3
         AND r.id NOT IN (SELECT value FROM json_each(?4))
         AND NOT EXISTS (SELECT 1 FROM records s WHERE s.store_id = r.store_id
           AND s.namespace = r.namespace AND s.id = r.id AND ${isOf("?5", "s")})
       LIMIT ?6`,
    );
    const named = JSON.stringify(ids);
    return select
      .all(this.#storeId, namespace, run.timestamp, named, run.generation, limit)
      .map(({ id }) => id as string);
  }

  async findAnswer(
    connectorId: string,
    key: string,
    since: number,
  ): Promise<{ body: string; answer: string } | undefined> {
    const select = this.#connection.statement(
      `SELECT body, answer FROM idempotency_keys
       WHERE store_id = ?1 AND connector_id = ?2 AND key = ?3 AND created_at >= ?4`,
    );
    return select.get(this.#storeId, connectorId, key, since) as { body: string; answer: string } | undefined;
  }

  async saveAnswer(
    connectorId: string,
    key: string,
    body: string,
    answer: string,
    now: number,
  ): Promise<void> {
    this.#connection
      .statement(`INSERT OR REPLACE INTO idempotency_keys
          (store_id, connector_id, key, body, answer, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)`)
      .run(this.#storeId, connectorId, key, body, answer, now);
  }

  async saveSync(sync: SyncRow): Promise<void> {
    this.#connection
      .statement(`INSERT INTO syncs
          (store_id, revision, sync_id, connector_id, mode, status, sync_timestamp, refresh_id,
           received_at, duration_ms, trace_id, results, by_namespace, changes)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)`)
      .run(
        this.#storeId,
        sync.revision,
        sync.syncId,
        sync.connectorId,
        sync.mode,
        sync.status,
        sync.timestamp,
        sync.refreshId,
        sync.receivedAt,
        sync.durationMs,
        sync.traceId,
        sync.results,
        sync.byNamespace,
        sync.changes,
      );
  }

  async write(writes: LedgerWrites, now: number): Promise<void> {
    this.#writeRows(writes);
    this.#writeContents(writes, now);
    this.#writeNamespaces(writes, now);
    this.runs.write(writes);
  }

  #writeRows(writes: LedgerWrites): void {
    const store = this.#storeId;
    const sql = (text: string) => this.#connection.statement(text);

    const dropRow = sql(
      "DELETE FROM records WHERE store_id = ?1 AND namespace = ?2 AND id = ?3 AND generation = ?4",
    );
    for (const row of writes.dropRows) dropRow.run(store, row.namespace, row.id, row.generation);

    const putRow = sql(
      `INSERT INTO records
         (store_id, namespace, id, generation, carried_in, also_carried_in, decided_at, version, hash,
          fingerprint, written_at, indexed)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
       ON CONFLICT (store_id, namespace, id, generation) DO UPDATE SET
         carried_in = excluded.carried_in, also_carried_in = excluded.also_carried_in,
         decided_at = excluded.decided_at, version = excluded.version,
         hash = excluded.hash, fingerprint = excluded.fingerprint, written_at = excluded.written_at,
         indexed = excluded.indexed`,
    );
    for (const row of writes.rows) {
      putRow.run(
        store,
        row.namespace,
        row.id,
        row.generation,
        row.carriedIn,
        row.alsoCarriedIn,
        row.decidedAt,
        row.version,
        row.hash,
        row.fingerprint,
        row.writtenAt,
        row.indexed,
      );
    }

    for (const { carriedIn, alsoCarriedIn, ...rows } of writes.carry) {
      updateRows(
        this.#connection,
        store,
        "carried_in = ?6, also_carried_in = ?7",
        rows,
        carriedIn,
        alsoCarriedIn,
      );
    }
    for (const { decidedAt, ...rows } of writes.touch) {
      updateRows(this.#connection, store, "decided_at = ?6", rows, decidedAt);
    }
  }

  #writeContents(writes: LedgerWrites, now: number): void {
    const store = this.#storeId;
    const sql = (text: string) => this.#connection.statement(text);

    const dropContent = sql("DELETE FROM contents WHERE store_id = ?1 AND version = ?2");
    for (const version of writes.dropContents) dropContent.run(store, version);

    const addContent = sql("INSERT INTO contents (store_id, version, content) VALUES (?1, ?2, ?3)");
    for (const { version, content } of writes.contents) addContent.run(store, version, content);

    const enqueue = sql(ENQUEUE);
    for (const { version, namespace, id } of writes.enqueue) enqueue.run(store, version, namespace, id, now);
  }

  #writeNamespaces(writes: LedgerWrites, now: number): void {
    const store = this.#storeId;
    const sql = (text: string) => this.#connection.statement(text);

    const putNamespace = sql(
      `INSERT INTO namespaces
         (store_id, namespace, generation, next_generation, refreshed_at, newest_at, purged_at, records,
          digest, last_sync_at, sweep_from)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, NULL)
       ON CONFLICT (store_id, namespace) DO UPDATE SET
         generation = excluded.generation, next_generation = excluded.next_generation,
         refreshed_at = excluded.refreshed_at, newest_at = excluded.newest_at,
         records = excluded.records, digest = excluded.digest, last_sync_at = excluded.last_sync_at`,
    );
    for (const state of writes.namespaces) {
      putNamespace.run(
        store,
        state.namespace,
        state.generation,
        state.nextGeneration,
        state.refreshedAt,
        state.newestAt,
        state.purgedAt,
        state.records,
        state.digest.toString(16),
        now,
      );
    }
    const sweep = sql("UPDATE namespaces SET sweep_from = '' WHERE store_id = ?1 AND namespace = ?2");
    for (const namespace of writes.sweep) sweep.run(store, namespace);
  }
}
