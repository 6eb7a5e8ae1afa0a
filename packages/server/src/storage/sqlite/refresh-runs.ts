import type {
  EndState,
  LedgerWrites,
  RecordRow,
  RefreshRun,
  RefreshRuns,
  RunNamespace,
  RunState,
  Tallies,
} from "../port.ts";
import { CHANGES, COUNTED_CHANGES } from "../rules.ts";
import { IS_CURRENT, isOf } from "../visibility.ts";
import type { Connection } from "./connection.ts";
import { ENQUEUE } from "./enqueue.ts";

type Columns = Record<string, string & number>;

/** The runs of a store. */
const RUN = `
  SELECT run_id, connector_id, CAST(sync_timestamp AS TEXT) AS timestamp, refresh_id, state, operations, failed,
    batches, started_at, last_part_at, last_part, answer
  FROM refresh_runs WHERE store_id = ?1`;

/** The rows of a generation (?3) in a namespace (?2), each with the current row of its record. */
const STAGED = `
  SELECT s.id, s.generation, s.version, s.hash, s.indexed,
    c.version AS current_version, c.hash AS current_hash, c.indexed AS current_indexed
  FROM records s LEFT JOIN (
    SELECT r.id, r.version, r.hash, r.indexed
    FROM records r JOIN namespaces n ON n.store_id = r.store_id AND n.namespace = r.namespace
    WHERE r.store_id = ?1 AND r.namespace = ?2 AND ${IS_CURRENT}
  ) c ON c.id = s.id
  WHERE s.store_id = ?1 AND s.namespace = ?2 AND ${isOf("?3", "s")}`;

/** Removes a content (?4) that no row of its record (?2, ?3) has any longer. */
export const DROP_UNUSED = `
  DELETE FROM contents WHERE store_id = ?1 AND version = ?4 AND NOT EXISTS
    (SELECT 1 FROM records r WHERE r.store_id = ?1 AND r.namespace = ?2 AND r.id = ?3 AND r.version = ?4)`;

/** The staged refreshes of one store, within a transaction. */
export class SqliteRefreshRuns implements RefreshRuns {
  #connection: Connection;
  #storeId: string;

  constructor(connection: Connection, storeId: string) {
    this.#connection = connection;
    this.#storeId = storeId;
  }

  async find(connectorId: string, timestamp: bigint, refreshId: string): Promise<RefreshRun | undefined> {
    const select = this.#sql(`${RUN} AND connector_id = ?2 AND sync_timestamp = ?3 AND refresh_id = ?4`);
    return toRun(select.get(this.#storeId, connectorId, timestamp, refreshId));
  }

  async get(runId: string): Promise<RefreshRun | undefined> {
    return toRun(this.#sql(`${RUN} AND run_id = ?2`).get(this.#storeId, runId));
  }

  async namespacesOf(runId: string): Promise<string[]> {
    const rows = this.#sql(
      "SELECT namespace FROM refresh_run_namespaces WHERE store_id = ?1 AND run_id = ?2",
    );
    return rows.all(this.#storeId, runId).map(({ namespace }) => namespace as string);
  }

  async openIn(namespaces: string[]): Promise<RunNamespace[]> {
    const select = this.#sql(
      `SELECT run_id, namespace, CAST(sync_timestamp AS TEXT) AS timestamp, generation, upserts, digest,
         newer_records, newer_digest, created, updated, unchanged, removed, absent, stale, superseded, recount
       FROM refresh_run_namespaces
       WHERE store_id = ?1 AND namespace = ?2`,
    );
    return namespaces.flatMap((name) => (select.all(this.#storeId, name) as Columns[]).map(toRunNamespace));
  }

  async hasPart(runId: string, part: string): Promise<boolean> {
    const select = this.#sql(
      "SELECT 1 FROM refresh_run_parts WHERE store_id = ?1 AND run_id = ?2 AND part = ?3",
    );
    return select.get(this.#storeId, runId, part) !== undefined;
  }

  async failedRecords(runId: string): Promise<Pick<RecordRow, "namespace" | "id">[]> {
    const select = this.#sql(
      "SELECT namespace, id FROM refresh_run_exceptions WHERE store_id = ?1 AND run_id = ?2 AND kind = 'failed'",
    );
    return select.all(this.#storeId, runId) as Pick<RecordRow, "namespace" | "id">[];
  }

  async staleIds(runId: string, namespace: string, ids: string[]): Promise<string[]> {
    const select = this.#sql(
      `SELECT m.id FROM json_each(?4) j CROSS JOIN refresh_run_exceptions m
         ON m.store_id = ?1 AND m.run_id = ?2 AND m.namespace = ?3 AND m.id = j.value AND m.kind = 'stale'`,
    );
    const rows = select.all(this.#storeId, runId, namespace, JSON.stringify(ids));
    return rows.map(({ id }) => id as string);
  }

  async recount({ namespace, generation }: RunNamespace): Promise<Omit<Tallies, "stale" | "superseded">> {
    const key = [this.#storeId, namespace, generation] as const;
    this.#shareContents(key);
    this.#alignIndexed(key);
    const counts = this.#sql(`SELECT ${COUNTED_CHANGES} FROM (${STAGED})`).get(...key);
    return { ...(counts as unknown as Omit<Tallies, "stale" | "superseded">) };
  }

  async sample(
    { runId, namespace, generation }: RunNamespace,
    kind: Exclude<keyof Tallies, "superseded">,
    ids: string[],
    limit: number,
  ): Promise<string[]> {
    const others = "id NOT IN (SELECT value FROM json_each(?4)) LIMIT ?5";
    const named = JSON.stringify(ids);
    const rows =
      kind === "stale"
        ? this.#sql(
            `SELECT id FROM refresh_run_exceptions
             WHERE store_id = ?1 AND namespace = ?2 AND run_id = ?3 AND kind = 'stale' AND ${others}`,
          ).all(this.#storeId, namespace, runId, named, limit)
        : this.#sql(`SELECT id FROM (${STAGED}) WHERE (${CHANGES[kind]}) AND ${others}`).all(
            ...[this.#storeId, namespace, generation, named, limit],
          );
    return rows.map(({ id }) => id as string);
  }

  /** Lets staged rows share the content of the current row where their hashes are equal. */
  #shareContents(key: readonly [string, string, number]): void {
    const equal = this.#sql(
      `SELECT id, generation, version, indexed, current_version, current_indexed FROM (${STAGED})
       WHERE hash = current_hash AND version <> current_version`,
    ).all(...key) as Record<string, string & number & null>[];
    const share = this.#sql(
      `UPDATE records SET version = ?5, indexed = ?6
       WHERE store_id = ?1 AND namespace = ?2 AND generation = ?3 AND id = ?4`,
    );
    const drop = this.#sql(DROP_UNUSED);
    const [store, namespace] = key;
    const enqueue = this.#sql(ENQUEUE);
    for (const { id, generation, version, indexed, current_version, current_indexed } of equal) {
      share.run(store, namespace, generation!, id!, current_version!, current_indexed!);
      drop.run(store, namespace, id!, version!);
      if (indexed !== null && indexed !== current_indexed)
        enqueue.run(store, indexed!, namespace, id!, Date.now());
    }
  }

  /** Makes staged rows whose own content is not indexed be found by the same version as the current row. */
  #alignIndexed(key: readonly [string, string, number]): void {
    const unaligned = this.#sql(
      `SELECT id, generation, indexed, current_indexed FROM (${STAGED})
       WHERE version IS NOT NULL AND indexed IS NOT version AND indexed IS NOT current_indexed`,
    ).all(...key) as Record<string, string & number & null>[];
    const align = this.#sql(
      "UPDATE records SET indexed = ?5 WHERE store_id = ?1 AND namespace = ?2 AND generation = ?3 AND id = ?4",
    );
    const enqueue = this.#sql(ENQUEUE);
    const [store, namespace] = key;
    for (const { id, generation, indexed, current_indexed } of unaligned) {
      align.run(store, namespace, generation!, id!, current_indexed!);
      if (indexed !== null) enqueue.run(store, indexed!, namespace, id!, Date.now());
    }
  }

  write({ runs, runNamespaces, parts, runExceptions, endRuns }: LedgerWrites): void {
    const store = this.#storeId;
    const putRun = this.#sql(
      `INSERT OR REPLACE INTO refresh_runs
         (store_id, run_id, connector_id, sync_timestamp, refresh_id, operations, failed, batches,
          started_at, state, last_part_at, last_part, answer)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)`,
    );
    for (const run of runs) {
      const { runId, connectorId, timestamp, refreshId, state, lastPart, answer } = run;
      const { operations, failed, batches, startedAt, lastPartAt } = run;
      const identity = [store, runId, connectorId, timestamp, refreshId];
      putRun.run(...identity, operations, failed, batches, startedAt, state, lastPartAt, lastPart, answer);
    }
    const putNamespace = this.#sql(
      `INSERT OR REPLACE INTO refresh_run_namespaces
         (store_id, namespace, run_id, sync_timestamp, generation, upserts, digest, newer_records,
          newer_digest, created, updated, unchanged, removed, absent, stale, superseded, recount)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)`,
    );
    for (const {
      runId,
      namespace,
      timestamp,
      generation,
      upserts,
      newer,
      tallies,
      recount,
    } of runNamespaces) {
      const { created, updated, unchanged, removed, absent, stale, superseded } = tallies;
      putNamespace.run(
        ...[store, namespace, runId, timestamp, generation],
        ...[upserts.records, upserts.digest.toString(16), newer.records, newer.digest.toString(16)],
        ...[created, updated, unchanged, removed, absent, stale, superseded, recount ? 1 : 0],
      );
    }
    const addPart = this.#sql("INSERT INTO refresh_run_parts (store_id, run_id, part) VALUES (?1, ?2, ?3)");
    for (const { runId, part } of parts) addPart.run(store, runId, part);
    const addException =
      this.#sql(`INSERT OR IGNORE INTO refresh_run_exceptions (store_id, run_id, namespace, id, kind)
      VALUES (?1, ?2, ?3, ?4, ?5)`);
    for (const { runId, namespace, id, kind } of runExceptions)
      addException.run(store, runId, namespace, id, kind);
    for (const { runId, state } of endRuns) this.endNow(runId, state);
  }

  async end(runIds: string[], state: EndState): Promise<void> {
    for (const runId of runIds) this.endNow(runId, state);
  }

  /** Ends one run synchronously, as all work on SQLite is done. */
  endNow(runId: string, state: EndState): void {
    this.#sql("UPDATE refresh_runs SET state = ?3 WHERE store_id = ?1 AND run_id = ?2").run(
      this.#storeId,
      runId,
      state,
    );
    this.#sql(
      `UPDATE namespaces SET sweep_from = '' WHERE store_id = ?1 AND namespace IN
         (SELECT namespace FROM refresh_run_namespaces WHERE store_id = ?1 AND run_id = ?2)`,
    ).run(this.#storeId, runId);
    for (const table of ["refresh_run_namespaces", "refresh_run_parts", "refresh_run_exceptions"]) {
      this.#sql(`DELETE FROM ${table} WHERE store_id = ?1 AND run_id = ?2`).run(this.#storeId, runId);
    }
  }

  #sql(text: string) {
    return this.#connection.statement(text);
  }
}

function toRun(columns: unknown): RefreshRun | undefined {
  if (!columns) return undefined;
  const row = columns as Columns;
  return {
    runId: row.run_id!,
    connectorId: row.connector_id!,
    timestamp: BigInt(row.timestamp!),
    refreshId: row.refresh_id!,
    state: row.state as unknown as RunState,
    operations: row.operations!,
    failed: row.failed!,
    batches: row.batches!,
    startedAt: row.started_at!,
    lastPartAt: row.last_part_at!,
    lastPart: row.last_part ?? null,
    answer: row.answer ?? null,
  };
}

function toRunNamespace(row: Columns): RunNamespace {
  return {
    runId: row.run_id!,
    namespace: row.namespace!,
    timestamp: BigInt(row.timestamp!),
    generation: row.generation!,
    upserts: { records: row.upserts!, digest: BigInt(`0x${row.digest}`) },
    newer: { records: row.newer_records!, digest: BigInt(`0x${row.newer_digest}`) },
    tallies: {
      created: row.created!,
      updated: row.updated!,
      unchanged: row.unchanged!,
      removed: row.removed!,
      absent: row.absent!,
      stale: row.stale!,
      superseded: row.superseded!,
    },
    recount: row.recount === 1,
  };
}
