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
import { recordKey } from "../record-key.ts";
import { NEW_NAMESPACE } from "../rules.ts";
import { IS_CURRENT, isOf } from "../visibility.ts";
import { numberArray, textArray } from "./arrays.ts";
import type { Transaction } from "./connections.ts";
import { PostgresIndexTransaction } from "./index-transaction.ts";
import { IS_CONTENT_OF, ROWS_OF_ID } from "./lookups.ts";
import { PostgresRefreshRuns } from "./refresh-runs.ts";

/** Rows per read where there may be millions. */
const PAGE_ROWS = 10_000;

type RowKey = Pick<RecordRow, "namespace" | "id" | "generation">;

const keyOf = (row: RowKey) => `${row.generation} ${recordKey(row)}`;
function keysOf({ namespace, ids }: NamespaceIds, generation: number): RowKey[] {
  return ids.map((id) => ({ namespace, id, generation }));
}

/** A sync's transaction on PostgreSQL, under its store's lock. Each method is one statement, whatever its size. */
export class PostgresLedgerTransaction implements LedgerTransaction {
  readonly index: PostgresIndexTransaction;
  readonly runs: PostgresRefreshRuns;
  #tx: Transaction;
  #storeId: string;
  #revision: number;
  /** The places (`ctid`) of rows read, by namespace, id and generation; valid while this transaction has the lock. */
  #places = new Map<string, string>();

  /** @param revision from {@link lockStore} */
  constructor(tx: Transaction, storeId: string, revision: number) {
    this.#tx = tx;
    this.#storeId = storeId;
    this.#revision = revision;
    this.runs = new PostgresRefreshRuns(tx, storeId);
    this.index = new PostgresIndexTransaction(tx, storeId, (rows) => {
      const places = this.#placesOf(rows);
      for (const row of rows) this.#places.delete(keyOf(row));
      return places;
    });
  }

  async storeExists(): Promise<boolean> {
    const stores = await this.#rows("SELECT 1 FROM vector_stores WHERE id = $1 AND deleted_at IS NULL");
    return stores.length > 0;
  }

  async nextRevision(): Promise<number> {
    await this.#rows("UPDATE store_revisions SET revision = $2 WHERE store_id = $1", ++this.#revision);
    return this.#revision;
  }

  async readNamespaces(names: string[]): Promise<NamespaceState[]> {
    const rows = await this.#rows<[string, number, number, string, string, string, number, string]>(
      `SELECT namespace, generation, next_generation, refreshed_at::text, newest_at::text, purged_at::text,
         records, digest
       FROM namespaces WHERE store_id = $1 AND namespace = ANY ($2::text[])`,
      textArray(names),
    );
    const known = new Map(
      rows.map(
        ([namespace, generation, nextGeneration, refreshedAt, newestAt, purgedAt, records, digest]) => [
          namespace,
          {
            namespace,
            generation,
            nextGeneration,
            refreshedAt: BigInt(refreshedAt),
            newestAt: BigInt(newestAt),
            purgedAt: BigInt(purgedAt),
            records,
            digest: BigInt(`0x${digest}`),
          },
        ],
      ),
    );
    return names.map((namespace) => known.get(namespace) ?? { namespace, ...NEW_NAMESPACE });
  }

  async rowsOf(named: NamespaceIds[]): Promise<RecordRow[]> {
    const keys = named.flatMap(({ namespace, ids }) => ids.map((id) => ({ namespace, id })));
    if (keys.length === 0) return [];
    type Found = [
      ...[number, number, number | null, number | null],
      ...[string | null, number | null, string | null, string | null, number, number | null, string],
    ];
    const rows = await this.#rows<Found>(
      `SELECT k.number, r.generation, r.carried_in, r.also_carried_in, r.decided_at::text, r.version, r.hash, r.fingerprint,
         r.written_at, r.indexed, r.place
       FROM unnest($2::text[], $3::text[]) WITH ORDINALITY k(namespace, id, number)
       CROSS JOIN ${ROWS_OF_ID} r
       JOIN namespaces n ON n.store_id = $1 AND n.namespace = k.namespace
       WHERE ${IS_CURRENT} OR EXISTS (SELECT 1 FROM refresh_run_namespaces o
         WHERE o.store_id = $1 AND o.namespace = k.namespace AND ${isOf("o.generation")})`,
      textArray(keys.map(({ namespace }) => namespace)),
      textArray(keys.map(({ id }) => id)),
    );
    return rows.map((columns) => {
      const [number, generation, carriedIn, alsoCarriedIn, decidedAt, version] = columns;
      const [, , , , , , hash, fingerprint, writtenAt, indexed, place] = columns;
      const row = {
        ...keys[number - 1]!,
        ...{ generation, carriedIn, alsoCarriedIn, version, hash, fingerprint, writtenAt, indexed },
        decidedAt: decidedAt === null ? null : BigInt(decidedAt),
      };
      this.#places.set(keyOf(row), place);
      return row;
    });
  }

  /** The places of rows that were read earlier, as a `tid[]`. */
  #placesOf(rows: RowKey[]): string {
    return textArray(
      rows.map((row) => {
        const place = this.#places.get(keyOf(row));
        if (place === undefined) throw new Error("A sync changed a row that it had not read.");
        return place;
      }),
    );
  }

  async decidedAfter({ namespace }: NamespaceState, ns: bigint): Promise<RecordSum> {
    let records = 0;
    let digest = 0n;
    let after = "";
    for (;;) {
      const rows = await this.#rows<[string, string]>(
        `SELECT r.id, r.hash FROM records r
         JOIN namespaces n ON n.store_id = r.store_id AND n.namespace = r.namespace
         WHERE r.store_id = $1 AND r.namespace = $2 AND r.version IS NOT NULL
           AND r.decided_at > $3 AND ${IS_CURRENT} AND r.id > $4
         ORDER BY r.id LIMIT ${PAGE_ROWS}`,
        ...[namespace, ns, after],
      );
      for (const [, hash] of rows) digest += BigInt(`0x${hash}`);
      records += rows.length;
      if (rows.length < PAGE_ROWS) return { records, digest: BigInt.asUintN(256, digest) };
      after = rows.at(-1)![0];
    }
  }

  async clearedSample(
    { namespace }: NamespaceState,
    run: RunNamespace,
    ids: string[],
    limit: number,
  ): Promise<string[]> {
    const rows = await this.#rows<[string]>(
      `SELECT k.id FROM (
         SELECT r.namespace, r.id FROM records r
         JOIN namespaces n ON n.store_id = r.store_id AND n.namespace = r.namespace
         WHERE r.store_id = $1 AND r.namespace = $2 AND r.version IS NOT NULL AND ${IS_CURRENT}
           AND coalesce(r.decided_at, 0) <= $3 AND r.id <> ALL ($4::text[])
         ORDER BY r.id) k
       LEFT JOIN ${ROWS_OF_ID} staged ON ${isOf("$5::bigint", "staged")}
       WHERE staged.id IS NULL LIMIT $6`,
      ...[namespace, run.timestamp, textArray(ids), run.generation, limit],
    );
    return rows.map(([id]) => id);
  }

  async findAnswer(
    connectorId: string,
    key: string,
    since: number,
  ): Promise<{ body: string; answer: string } | undefined> {
    const [found] = await this.#rows<[string, string]>(
      `SELECT body, answer FROM idempotency_keys
       WHERE store_id = $1 AND connector_id = $2 AND key = $3 AND created_at >= $4`,
      ...[connectorId, key, since],
    );
    return found && { body: found[0], answer: found[1] };
  }

  async saveAnswer(
    connectorId: string,
    key: string,
    body: string,
    answer: string,
    now: number,
  ): Promise<void> {
    await this.#rows(
      `INSERT INTO idempotency_keys (store_id, connector_id, key, body, answer, created_at)
       VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT (store_id, connector_id, key) DO UPDATE SET
         body = excluded.body, answer = excluded.answer, created_at = excluded.created_at`,
      ...[connectorId, key, body, answer, now],
    );
  }

  async saveSync(sync: SyncRow): Promise<void> {
    await this.#rows(
      `INSERT INTO syncs
         (store_id, revision, sync_id, connector_id, mode, status, sync_timestamp, refresh_id,
          received_at, duration_ms, trace_id, results, by_namespace, changes)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
      ...[
        sync.revision,
        sync.syncId,
        sync.connectorId,
        sync.mode,
        sync.status,
        sync.timestamp,
        sync.refreshId,
      ],
      ...[sync.receivedAt, sync.durationMs, sync.traceId, sync.results, sync.byNamespace, sync.changes],
    );
  }

  async write(writes: LedgerWrites, now: number): Promise<void> {
    // All statements are sent before the first answer arrives; the server runs them in this order.
    await Promise.all([
      ...this.#writeRows(writes),
      ...this.#writeContents(writes, now),
      ...this.#writeNamespaces(writes, now),
      ...this.runs.write(writes),
      this.#unless(
        writes.sweep,
        "UPDATE namespaces SET sweep_from = '' WHERE store_id = $1 AND namespace = ANY ($2::text[])",
        textArray,
      ),
    ]);
  }

  #writeRows({ dropRows, rows, carry, touch }: LedgerWrites): Promise<unknown>[] {
    return [
      this.#unless(
        dropRows,
        "DELETE FROM records WHERE store_id = $1 AND ctid = ANY ($2::tid[])",
        (dropped) => this.#placesOf(dropped),
      ),
      this.#unless(
        rows,
        `INSERT INTO records
           (store_id, namespace, id, generation, carried_in, also_carried_in, decided_at, version, hash,
            fingerprint, written_at, indexed)
         SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
           $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::bigint[], $12::bigint[])
         ON CONFLICT (store_id, namespace, id, generation) DO UPDATE SET
           carried_in = excluded.carried_in, also_carried_in = excluded.also_carried_in, decided_at = excluded.decided_at,
           version = excluded.version, hash = excluded.hash, fingerprint = excluded.fingerprint,
           written_at = excluded.written_at, indexed = excluded.indexed`,
        (list) => textArray(list.map(({ namespace }) => namespace)),
        (list) => textArray(list.map(({ id }) => id)),
        (list) => numberArray(list.map(({ generation }) => generation)),
        (list) => numberArray(list.map(({ carriedIn }) => carriedIn)),
        (list) => numberArray(list.map(({ alsoCarriedIn }) => alsoCarriedIn)),
        (list) => numberArray(list.map(({ decidedAt }) => decidedAt)),
        (list) => numberArray(list.map(({ version }) => version)),
        (list) => textArray(list.map(({ hash }) => hash)),
        (list) => textArray(list.map(({ fingerprint }) => fingerprint)),
        (list) => numberArray(list.map(({ writtenAt }) => writtenAt)),
        (list) => numberArray(list.map(({ indexed }) => indexed)),
      ),
      ...[
        ...Map.groupBy(carry, ({ carriedIn, alsoCarriedIn }) => `${carriedIn} ${alsoCarriedIn}`).values(),
      ].map((carries) =>
        this.#rows(
          "UPDATE records SET carried_in = $3, also_carried_in = $4 WHERE store_id = $1 AND ctid = ANY ($2::tid[])",
          ...[
            this.#placesOf(carries.flatMap((rows) => keysOf(rows, rows.generation))),
            carries[0]!.carriedIn,
            carries[0]!.alsoCarriedIn,
          ],
        ),
      ),
      // All touches of a sync set the same time.
      this.#unless(
        touch.flatMap((rows) => keysOf(rows, rows.generation)),
        "UPDATE records SET decided_at = $3 WHERE store_id = $1 AND ctid = ANY ($2::tid[])",
        (keys) => this.#placesOf(keys),
        () => touch[0]!.decidedAt,
      ),
    ];
  }

  #writeContents({ dropContents, contents, enqueue }: LedgerWrites, now: number): Promise<unknown>[] {
    return [
      this.#unless(dropContents, `DELETE FROM contents c WHERE ${IS_CONTENT_OF}`, numberArray),
      // Canonical JSON has no line breaks, and splitting lines is much faster than parsing an array's text.
      this.#unless(
        contents,
        `INSERT INTO contents (store_id, version, content)
         SELECT $1, * FROM ROWS FROM (unnest($2::bigint[]), string_to_table($3, E'\\n'))`,
        (list) => numberArray(list.map(({ version }) => version)),
        (list) => list.map(({ content }) => content).join("\n"),
      ),
      this.#unless(
        enqueue,
        `INSERT INTO index_queue (store_id, version, namespace, id, queued_at)
         SELECT $1, d.*, $5::bigint FROM unnest($2::bigint[], $3::text[], $4::text[]) d
         ON CONFLICT (store_id, version) DO NOTHING`,
        (list) => numberArray(list.map(({ version }) => version)),
        (list) => textArray(list.map(({ namespace }) => namespace)),
        (list) => textArray(list.map(({ id }) => id)),
        () => now,
      ),
    ];
  }

  #writeNamespaces({ namespaces }: LedgerWrites, now: number): Promise<unknown>[] {
    return [
      this.#unless(
        namespaces,
        `INSERT INTO namespaces
           (store_id, namespace, generation, next_generation, refreshed_at, newest_at, purged_at,
            records, digest, last_sync_at, sweep_from)
         SELECT $1, n.*, $10::bigint, NULL FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[],
           $6::bigint[], $7::bigint[], $8::bigint[], $9::text[]) n
         ON CONFLICT (store_id, namespace) DO UPDATE SET
           generation = excluded.generation, next_generation = excluded.next_generation,
           refreshed_at = excluded.refreshed_at, newest_at = excluded.newest_at,
           records = excluded.records, digest = excluded.digest, last_sync_at = excluded.last_sync_at`,
        (list) => textArray(list.map(({ namespace }) => namespace)),
        (list) => numberArray(list.map(({ generation }) => generation)),
        (list) => numberArray(list.map(({ nextGeneration }) => nextGeneration)),
        (list) => numberArray(list.map(({ refreshedAt }) => refreshedAt)),
        (list) => numberArray(list.map(({ newestAt }) => newestAt)),
        (list) => numberArray(list.map(({ purgedAt }) => purgedAt)),
        (list) => numberArray(list.map(({ records }) => records)),
        (list) => textArray(list.map(({ digest }) => digest.toString(16))),
        () => now,
      ),
    ];
  }

  /** Runs a statement over a list, unless the list is empty. */
  async #unless<T>(list: T[], text: string, ...columns: ((list: T[]) => unknown)[]): Promise<void> {
    if (list.length > 0) await this.#rows(text, ...columns.map((column) => column(list)));
  }

  /** Runs a statement whose $1 is the store. */
  #rows<Row extends unknown[]>(text: string, ...values: unknown[]): Promise<Row[]> {
    return this.#tx.rows<Row>(text, [this.#storeId, ...values]);
  }
}
