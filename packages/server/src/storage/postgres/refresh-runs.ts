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
import { numberArray, textArray } from "./arrays.ts";
import type { Transaction } from "./connections.ts";

/** The rows of a generation ($3) in a namespace ($2), each with the current row of its record. */
const STAGED = `
  SELECT s.id, s.generation, s.version, s.hash, s.indexed,
    c.version AS current_version, c.hash AS current_hash, c.indexed AS current_indexed
  FROM records s LEFT JOIN LATERAL (
    SELECT r.version, r.hash, r.indexed
    FROM records r JOIN namespaces n ON n.store_id = r.store_id AND n.namespace = r.namespace
    WHERE r.store_id = $1 AND r.namespace = $2 AND r.id = s.id AND ${IS_CURRENT} OFFSET 0
  ) c ON true
  WHERE s.store_id = $1 AND s.namespace = $2 AND ${isOf("$3::bigint", "s")}`;

/** Tables with rows of open runs, which are deleted when a run is over. */
const RUN_TABLES = ["refresh_run_namespaces", "refresh_run_parts", "refresh_run_exceptions"];

/** The staged refreshes of one store, within a transaction. */
export class PostgresRefreshRuns implements RefreshRuns {
  #tx: Transaction;
  #storeId: string;

  constructor(tx: Transaction, storeId: string) {
    this.#tx = tx;
    this.#storeId = storeId;
  }

  find(connectorId: string, timestamp: bigint, refreshId: string): Promise<RefreshRun | undefined> {
    const identity = [connectorId, timestamp, refreshId];
    return this.#run("connector_id = $2 AND sync_timestamp = $3 AND refresh_id = $4", identity);
  }

  get(runId: string): Promise<RefreshRun | undefined> {
    return this.#run("run_id = $2", [runId]);
  }

  async #run(condition: string, values: unknown[]): Promise<RefreshRun | undefined> {
    type Found = [
      ...[string, string, string, string, RunState, number, number, number],
      ...[number, number, string | null, string | null],
    ];
    const [row] = await this.#rows<Found>(
      `SELECT run_id, connector_id, sync_timestamp::text, refresh_id, state, operations, failed, batches,
         started_at, last_part_at, last_part, answer
       FROM refresh_runs WHERE store_id = $1 AND ${condition}`,
      ...values,
    );
    if (!row) return undefined;
    const [runId, connectorId, timestamp, refreshId, state, operations, failed, batches, ...rest] = row;
    const [startedAt, lastPartAt, lastPart, answer] = rest;
    return {
      ...{ runId, connectorId, timestamp: BigInt(timestamp), refreshId, state, operations, failed, batches },
      ...{ startedAt, lastPartAt, lastPart, answer },
    };
  }

  async namespacesOf(runId: string): Promise<string[]> {
    const rows = await this.#rows<[string]>(
      "SELECT namespace FROM refresh_run_namespaces WHERE store_id = $1 AND run_id = $2",
      runId,
    );
    return rows.map(([namespace]) => namespace);
  }

  async openIn(namespaces: string[]): Promise<RunNamespace[]> {
    type Found = [
      ...[string, string, string, number, number, string, number, string],
      ...[number, number, number, number, number, number, number, number],
    ];
    const rows = await this.#rows<Found>(
      `SELECT run_id, namespace, sync_timestamp::text, generation, upserts, digest, newer_records, newer_digest,
         created, updated, unchanged, removed, absent, stale, superseded, recount
       FROM refresh_run_namespaces
       WHERE store_id = $1 AND namespace = ANY ($2::text[])`,
      textArray(namespaces),
    );
    return rows.map(
      ([runId, namespace, timestamp, generation, upserts, digest, newer, newerDigest, ...tallies]) => {
        const [created, updated, unchanged, removed, absent, stale, superseded, recount] = tallies;
        return {
          runId,
          namespace,
          timestamp: BigInt(timestamp),
          generation,
          upserts: { records: upserts, digest: BigInt(`0x${digest}`) },
          newer: { records: newer, digest: BigInt(`0x${newerDigest}`) },
          tallies: { created, updated, unchanged, removed, absent, stale, superseded },
          recount: recount === 1,
        };
      },
    );
  }

  async hasPart(runId: string, part: string): Promise<boolean> {
    const rows = await this.#rows(
      "SELECT 1 FROM refresh_run_parts WHERE store_id = $1 AND run_id = $2 AND part = $3",
      ...[runId, part],
    );
    return rows.length > 0;
  }

  async failedRecords(runId: string): Promise<Pick<RecordRow, "namespace" | "id">[]> {
    const rows = await this.#rows<[string, string]>(
      "SELECT namespace, id FROM refresh_run_exceptions WHERE store_id = $1 AND run_id = $2 AND kind = 'failed'",
      runId,
    );
    return rows.map(([namespace, id]) => ({ namespace, id }));
  }

  async staleIds(runId: string, namespace: string, ids: string[]): Promise<string[]> {
    const rows = await this.#rows<[string]>(
      `SELECT id FROM refresh_run_exceptions
       WHERE store_id = $1 AND run_id = $2 AND namespace = $3 AND kind = 'stale' AND id = ANY ($4::text[])`,
      ...[runId, namespace, textArray(ids)],
    );
    return rows.map(([id]) => id);
  }

  async recount({ namespace, generation }: RunNamespace): Promise<Omit<Tallies, "stale" | "superseded">> {
    await this.#shareContents(namespace, generation);
    await this.#alignIndexed(namespace, generation);
    const [counts] = await this.#rows<[number, number, number, number, number]>(
      `SELECT ${COUNTED_CHANGES} FROM (${STAGED}) s`,
      ...[namespace, generation],
    );
    const [created, updated, unchanged, removed, absent] = counts!;
    return { created, updated, unchanged, removed, absent };
  }

  async sample(
    { runId, namespace, generation }: RunNamespace,
    kind: Exclude<keyof Tallies, "superseded">,
    ids: string[],
    limit: number,
  ): Promise<string[]> {
    const others = "id <> ALL ($4::text[]) ORDER BY id LIMIT $5";
    const text =
      kind === "stale"
        ? `SELECT id FROM refresh_run_exceptions
           WHERE store_id = $1 AND namespace = $2 AND run_id = $3 AND kind = 'stale' AND ${others}`
        : `SELECT id FROM (${STAGED}) s WHERE (${CHANGES[kind]}) AND ${others}`;
    const source = kind === "stale" ? runId : generation;
    const rows = await this.#rows<[string]>(text, ...[namespace, source, textArray(ids), limit]);
    return rows.map(([id]) => id);
  }

  /** Lets staged rows share the content of the current row where their hashes are equal. */
  async #shareContents(namespace: string, generation: number): Promise<void> {
    const equal = await this.#rows<[string, number, number, number, number | null, number | null]>(
      `SELECT id, generation, version, current_version, indexed, current_indexed FROM (${STAGED}) s
       WHERE hash = current_hash AND version <> current_version`,
      ...[namespace, generation],
    );
    if (equal.length === 0) return;
    await this.#rows(
      `UPDATE records r SET version = k.version, indexed = k.indexed
       FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[]) k(id, generation, version, indexed)
       WHERE r.store_id = $1 AND r.namespace = $2 AND r.id = k.id AND r.generation = k.generation`,
      ...[namespace, textArray(equal.map(([id]) => id)), numberArray(equal.map((row) => row[1]))],
      numberArray(equal.map(([, , , version]) => version)),
      numberArray(equal.map(([, , , , , indexed]) => indexed)),
    );
    const lost = equal.filter(([, , , , indexed, shared]) => indexed !== shared);
    await dropUnused(this.#tx, this.#storeId, namespace, {
      contents: equal.map(([id, , version]) => ({ id, version })),
      indexed: lost.flatMap(([id, , , , version]) => (version === null ? [] : [{ id, version }])),
      now: Date.now(),
    });
  }

  /** Makes staged rows whose own content is not indexed be found by the same version as the current row. */
  async #alignIndexed(namespace: string, generation: number): Promise<void> {
    const unaligned = await this.#rows<[string, number, number | null, number | null]>(
      `SELECT id, generation, indexed, current_indexed FROM (${STAGED}) s
       WHERE version IS NOT NULL AND indexed IS DISTINCT FROM version AND indexed IS DISTINCT FROM current_indexed`,
      ...[namespace, generation],
    );
    if (unaligned.length === 0) return;
    await this.#rows(
      `UPDATE records r SET indexed = k.indexed
       FROM unnest($3::text[], $4::bigint[], $5::bigint[]) k(id, generation, indexed)
       WHERE r.store_id = $1 AND r.namespace = $2 AND r.id = k.id AND r.generation = k.generation`,
      ...[namespace, textArray(unaligned.map(([id]) => id)), numberArray(unaligned.map((row) => row[1]))],
      numberArray(unaligned.map(([, , , indexed]) => indexed)),
    );
    await dropUnused(this.#tx, this.#storeId, namespace, {
      contents: [],
      indexed: unaligned.flatMap(([id, , version]) => (version === null ? [] : [{ id, version }])),
      now: Date.now(),
    });
  }

  /** Sends the statements of a sync's writes to runs, in order. */
  write({ runs, runNamespaces, parts, runExceptions, endRuns }: LedgerWrites): Promise<unknown>[] {
    const sent: Promise<unknown>[] = [];
    for (const run of runs) {
      sent.push(
        this.#rows(
          `INSERT INTO refresh_runs
             (store_id, run_id, connector_id, sync_timestamp, refresh_id, operations, failed, batches,
              started_at, state, last_part_at, last_part, answer)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
           ON CONFLICT (store_id, run_id) DO UPDATE SET
             operations = excluded.operations, failed = excluded.failed, batches = excluded.batches,
             started_at = excluded.started_at, state = excluded.state, last_part_at = excluded.last_part_at,
             last_part = excluded.last_part, answer = excluded.answer`,
          ...[
            run.runId,
            run.connectorId,
            run.timestamp,
            run.refreshId,
            run.operations,
            run.failed,
            run.batches,
          ],
          ...[run.startedAt, run.state, run.lastPartAt, run.lastPart, run.answer],
        ),
      );
    }
    if (runNamespaces.length > 0) sent.push(this.#writeNamespaces(runNamespaces));
    if (parts.length > 0) {
      sent.push(
        this.#rows(
          `INSERT INTO refresh_run_parts (store_id, run_id, part)
           SELECT $1, * FROM unnest($2::text[], $3::text[])`,
          textArray(parts.map(({ runId }) => runId)),
          textArray(parts.map(({ part }) => part)),
        ),
      );
    }
    if (runExceptions.length > 0) {
      sent.push(
        this.#rows(
          `INSERT INTO refresh_run_exceptions (store_id, run_id, namespace, id, kind)
           SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[])
           ON CONFLICT DO NOTHING`,
          textArray(runExceptions.map(({ runId }) => runId)),
          textArray(runExceptions.map(({ namespace }) => namespace)),
          textArray(runExceptions.map(({ id }) => id)),
          textArray(runExceptions.map(({ kind }) => kind)),
        ),
      );
    }
    for (const [state, runs] of Map.groupBy(endRuns, ({ state }) => state))
      sent.push(this.end([...new Set(runs.map(({ runId }) => runId))], state));
    return sent;
  }

  #writeNamespaces(rows: RunNamespace[]): Promise<unknown> {
    const tally = (name: keyof Tallies) => numberArray(rows.map(({ tallies }) => tallies[name]));
    return this.#rows(
      `INSERT INTO refresh_run_namespaces
         (store_id, namespace, run_id, sync_timestamp, generation, upserts, digest, newer_records,
          newer_digest, created, updated, unchanged, removed, absent, stale, superseded, recount)
       SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],
         $8::bigint[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[],
         $15::bigint[], $16::bigint[], $17::bigint[])
       ON CONFLICT (store_id, namespace, run_id) DO UPDATE SET
         generation = excluded.generation, upserts = excluded.upserts, digest = excluded.digest,
         newer_records = excluded.newer_records, newer_digest = excluded.newer_digest,
         created = excluded.created, updated = excluded.updated, unchanged = excluded.unchanged,
         removed = excluded.removed, absent = excluded.absent, stale = excluded.stale,
         superseded = excluded.superseded, recount = excluded.recount`,
      textArray(rows.map(({ namespace }) => namespace)),
      textArray(rows.map(({ runId }) => runId)),
      numberArray(rows.map(({ timestamp }) => timestamp)),
      numberArray(rows.map(({ generation }) => generation)),
      numberArray(rows.map(({ upserts }) => upserts.records)),
      textArray(rows.map(({ upserts }) => upserts.digest.toString(16))),
      numberArray(rows.map(({ newer }) => newer.records)),
      textArray(rows.map(({ newer }) => newer.digest.toString(16))),
      ...[tally("created"), tally("updated"), tally("unchanged"), tally("removed")],
      ...[tally("absent"), tally("stale"), tally("superseded")],
      numberArray(rows.map(({ recount }) => (recount ? 1 : 0))),
    );
  }

  async end(runIds: string[], state: EndState): Promise<void> {
    const ids = textArray(runIds);
    await Promise.all([
      this.#rows(
        "UPDATE refresh_runs SET state = $3 WHERE store_id = $1 AND run_id = ANY ($2::text[])",
        ...[ids, state],
      ),
      this.#rows(
        `UPDATE namespaces SET sweep_from = '' WHERE store_id = $1 AND namespace IN
           (SELECT namespace FROM refresh_run_namespaces WHERE store_id = $1 AND run_id = ANY ($2::text[]))`,
        ids,
      ),
      ...RUN_TABLES.map((table) =>
        this.#rows(`DELETE FROM ${table} WHERE store_id = $1 AND run_id = ANY ($2::text[])`, ids),
      ),
    ]);
  }

  /** Runs a statement whose $1 is the store. */
  #rows<Row extends unknown[]>(text: string, ...values: unknown[]): Promise<Row[]> {
    return this.#tx.rows<Row>(text, [this.#storeId, ...values]);
  }
}

interface Version {
  id: string;
  version: number;
}

/**
 * Removes contents that no row of their record has any longer, and enqueues versions that no row is found by now.
 */
export async function dropUnused(
  tx: Transaction,
  storeId: string,
  namespace: string,
  { contents, indexed, now }: { contents: Version[]; indexed: Version[]; now: number },
): Promise<void> {
  const columns = (rows: Version[]) => [
    textArray(rows.map(({ id }) => id)),
    numberArray(rows.map(({ version }) => version)),
  ];
  const sent: Promise<unknown>[] = [];
  if (contents.length > 0) {
    const drop = `DELETE FROM contents c WHERE c.store_id = $1 AND c.ctid = ANY (ARRAY(
      SELECT p.place FROM unnest($3::text[], $4::bigint[]) k(id, version)
      CROSS JOIN LATERAL (SELECT ctid AS place FROM contents f
        WHERE f.store_id = $1 AND f.version = k.version AND NOT EXISTS (SELECT 1 FROM records r
          WHERE r.store_id = $1 AND r.namespace = $2 AND r.id = k.id AND r.version = k.version) OFFSET 0) p))`;
    sent.push(tx.rows(drop, [storeId, namespace, ...columns(contents)]));
  }
  if (indexed.length > 0) {
    const enqueue = `INSERT INTO index_queue (store_id, version, namespace, id, queued_at)
      SELECT $1, k.version, $2, k.id, $5::bigint FROM unnest($3::text[], $4::bigint[]) k(id, version)
      ON CONFLICT (store_id, version) DO NOTHING`;
    sent.push(tx.rows(enqueue, [storeId, namespace, ...columns(indexed), now]));
  }
  await Promise.all(sent);
}
