import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { RecordObject } from "@tidemark/protocol/browse";
import type { Commands } from "../../src/commands.ts";
import type { Config } from "../../src/config.ts";
import type { Storage } from "../../src/storage/port.ts";
import { type Answer, syncBody, type Tenant } from "../test-server.ts";
import { type Management, startManagement } from "./management.ts";
import { SYNC } from "./pipeline.ts";

/** A pipeline with functions that refresh its store and read it back. */
export interface Refresher extends Management {
  /** Sends the tenant's full refresh, at 10:31 by default. */
  refresh(fields: Record<string, unknown>, headers?: Record<string, string>): Promise<Answer>;
  /** Stages a part of that refresh, and asserts that it was staged. */
  stage(operations: object[], fields?: Record<string, unknown>): Promise<Answer>;
  /** Sends a sync, as another connector if `by` names one, and also returns the answer's exact text. */
  syncText(
    fields: Record<string, unknown>,
    headers?: Record<string, string>,
    by?: Tenant,
  ): Promise<TextAnswer>;
  /** Sends a sync with operations in literal JSON, which JSON.stringify could not write. */
  syncRaw(fields: Record<string, unknown>, operations: string): Promise<Answer>;
  /** Gets a path under the tenant's store, with the connector's key by default. */
  get(path: string, key?: string): Promise<Answer>;
  /** Returns the data of a namespace's records by id. */
  contents(namespace?: string): Promise<Record<string, unknown>>;
  /** Returns every row of the store, which a rejected request must not change. */
  rows(): Promise<unknown>;
  /** Creates another connector of the same store. */
  addConnector(): Promise<Tenant>;
  /** Runs maintenance until nothing is left to do. */
  runMaintenance(): Promise<void>;
}

export interface TextAnswer {
  status: number;
  replayed: string | null;
  text: string;
  body: Answer["body"];
}

/** Returns the `sync_timestamp` of this minute after ten. */
export const at = (minute: number) => `2025-11-11T10:${String(minute).padStart(2, "0")}:00Z`;

export const remove = (id: string, namespace = "tasks") => ({ action: "delete", id, namespace });

/** Returns upserts of `r<from>` up to, but without, `r<to>`. */
export const upserts = (from: number, to: number, data: object = {}, namespace = "tasks") =>
  Array.from({ length: to - from }, (_, i) => ({ action: "upsert", id: `r${from + i}`, namespace, data }));

/** Returns an invalid operation with a readable key. */
export const invalid = (id: string, namespace = "tasks") => ({
  action: "upsert",
  id,
  namespace,
  created_at: "2024-02-30T00:00:00Z",
});

/** Returns `changes` with these counts and zeros for the others. */
export const changes = (counts: Record<string, number>) => ({
  created: 0,
  updated: 0,
  unchanged: 0,
  removed: 0,
  absent: 0,
  stale: 0,
  superseded: 0,
  cleared: 0,
  ...counts,
});

export async function startRefresher(t: TestContext, overrides: Partial<Config> = {}): Promise<Refresher> {
  const management = await startManagement(t, overrides);
  const { server, tenant } = management;
  const store = `/vector-stores/${tenant.storeId}`;
  const refresh: Refresher["refresh"] = (fields, headers) =>
    management.sync({ sync_mode: "full_refresh", sync_timestamp: at(31), ...fields }, headers);
  const get: Refresher["get"] = (path, key = tenant.key) =>
    management.call("GET", `${store}${path}`, undefined, key);
  return {
    ...management,
    refresh,
    async stage(operations, fields = {}) {
      const answer = await refresh({ last_batch: false, operations, ...fields });
      assert.equal(answer.body.status, "staged", JSON.stringify(answer.body));
      return answer;
    },
    async syncText(fields, headers = {}, by = tenant) {
      const response = await fetch(server.url + SYNC, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": by.key, ...headers },
        body: JSON.stringify(syncBody(by, fields)),
      });
      const text = await response.text();
      const replayed = response.headers.get("idempotency-replayed");
      return { status: response.status, replayed, text, body: JSON.parse(text) };
    },
    syncRaw(fields, operations) {
      const { operations: _, ...head } = syncBody(tenant, fields);
      return management.send(`${JSON.stringify(head).slice(0, -1)},"operations":${operations}}`);
    },
    get,
    async contents(namespace = "tasks") {
      const records: RecordObject[] = [];
      let next = `/records?${new URLSearchParams({ namespace, limit: "100" })}`;
      for (;;) {
        const { body } = await get(next);
        records.push(...body.data);
        if (body.next_cursor === null) break;
        next = `/records?${new URLSearchParams({ namespace, limit: "100", cursor: body.next_cursor })}`;
      }
      return Object.fromEntries(records.map(({ id, data }) => [id, data]));
    },
    rows: () => readLedger(server.storage, tenant.storeId),
    async addConnector() {
      const connector = await server.commands.createConnector(
        tenant.organizationId,
        { name: "Another connector", storeId: tenant.storeId },
        server.clock.now,
      );
      return { ...tenant, connectorId: connector.id, key: connector.api_key };
    },
    runMaintenance: () => runMaintenance(server.commands),
  };
}

/** Runs maintenance until nothing is left to do; a step of one kind may create work of another. */
export async function runMaintenance(commands: Commands): Promise<void> {
  for (let idle = 0; idle < 8; ) idle = (await commands.runMaintenance()) ? 0 : idle + 1;
}

/** The tables of a store, and their columns that show whether something changed. */
const COLUMNS: Record<string, string> = {
  store_revisions: "revision",
  namespaces: `namespace, generation, next_generation, records, digest, last_sync_at,
    CAST(refreshed_at AS TEXT) AS refreshed, CAST(newest_at AS TEXT) AS newest`,
  records: "namespace, id, generation, version, hash, written_at, CAST(decided_at AS TEXT) AS decided",
  contents: "version, content",
  index_queue: "version, namespace, id",
  refresh_runs: "run_id, connector_id, refresh_id, state, operations, failed, batches, last_part_at",
  refresh_run_namespaces: "run_id, namespace, generation, upserts, digest, newer_records, recount",
  refresh_run_parts: "run_id, part",
  refresh_run_exceptions: "run_id, namespace, id, kind",
  idempotency_keys: "connector_id, key, body",
  syncs: "sync_id, status",
};

/** Returns every row of a store by table. */
export function readLedger(storage: Storage, storeId: string): Promise<Record<string, string[]>> {
  return storage.read(async (sql) => {
    const tables: Record<string, string[]> = {};
    for (const [table, columns] of Object.entries(COLUMNS)) {
      const rows = await sql.all(`SELECT ${columns} FROM ${table} WHERE store_id = $1`, [storeId]);
      tables[table] = rows.map((row) => JSON.stringify(row)).sort();
    }
    return tables;
  });
}
