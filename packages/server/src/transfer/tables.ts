import { LEDGER_TABLES as LEDGER } from "../storage/store-tables.ts";

/** The type of a column; `nanoseconds` are 64-bit integers, written as text because a double cannot hold them. */
export type Kind = "text" | "number" | "nanoseconds";

export interface Table {
  name: string;
  /** Every column but `store_id`, in the order of a row's values. */
  columns: Record<string, Kind>;
  /** The columns that identify a row within its store, in reading order. */
  key: string[];
  /** Columns with long values. */
  long: string[];
}

/** The number of these tables' schema; an import rejects numbers it does not know. Raise it with every change below. */
export const SCHEMA = 3;

/** For each schema that this version reads: the old names of tables and columns that were renamed since. */
export const OLDER_NAMES: Record<number, Record<string, string>> = {
  2: { refresh_run_exceptions: "refresh_run_marks", carried_in: "kept_by", also_carried_in: "also_kept_by" },
  [SCHEMA]: {},
};

const COLUMNS: Record<string, Record<string, Kind>> = {
  namespaces: {
    namespace: "text",
    generation: "number",
    next_generation: "number",
    refreshed_at: "nanoseconds",
    newest_at: "nanoseconds",
    purged_at: "nanoseconds",
    records: "number",
    digest: "text",
    last_sync_at: "number",
    sweep_from: "text",
  },
  records: {
    namespace: "text",
    id: "text",
    generation: "number",
    carried_in: "number",
    also_carried_in: "number",
    decided_at: "nanoseconds",
    version: "number",
    hash: "text",
    fingerprint: "text",
    written_at: "number",
  },
  contents: { version: "number", content: "text" },
  refresh_run_parts: { run_id: "text", part: "text" },
  refresh_run_exceptions: { run_id: "text", namespace: "text", id: "text", kind: "text" },
  refresh_run_namespaces: {
    namespace: "text",
    run_id: "text",
    sync_timestamp: "nanoseconds",
    generation: "number",
    upserts: "number",
    digest: "text",
    newer_records: "number",
    newer_digest: "text",
    created: "number",
    updated: "number",
    unchanged: "number",
    removed: "number",
    absent: "number",
    stale: "number",
    superseded: "number",
    recount: "number",
  },
  refresh_runs: {
    run_id: "text",
    connector_id: "text",
    sync_timestamp: "nanoseconds",
    refresh_id: "text",
    operations: "number",
    failed: "number",
    batches: "number",
    started_at: "number",
    state: "text",
    last_part_at: "number",
    last_part: "text",
    answer: "text",
  },
  idempotency_keys: {
    connector_id: "text",
    key: "text",
    body: "text",
    answer: "text",
    created_at: "number",
  },
  syncs: {
    revision: "number",
    sync_id: "text",
    connector_id: "text",
    mode: "text",
    status: "text",
    sync_timestamp: "nanoseconds",
    refresh_id: "text",
    received_at: "number",
    duration_ms: "number",
    trace_id: "text",
    results: "text",
    by_namespace: "text",
    changes: "text",
  },
  store_revisions: { revision: "number" },

  organizations: { id: "text", name: "text", created_at: "number" },
  vector_stores: {
    id: "text",
    organization_id: "text",
    name: "text",
    description: "text",
    settings: "text",
    created_at: "number",
    updated_at: "number",
    deleted_at: "number",
  },
  connectors: {
    id: "text",
    organization_id: "text",
    vector_store_id: "text",
    name: "text",
    created_at: "number",
    deleted_at: "number",
  },
  api_keys: {
    id: "text",
    hash: "text",
    role: "text",
    name: "text",
    organization_id: "text",
    vector_store_id: "text",
    connector_id: "text",
    created_at: "number",
    expires_at: "number",
    revoked_at: "number",
  },
  api_key_usage: { key_id: "text", last_used_at: "number" },
};

const LONG = ["content", "answer", "by_namespace"];

function table(name: string, key: string[]): Table {
  const columns = COLUMNS[name]!;
  return { name, columns, key, long: LONG.filter((column) => column in columns) };
}

/**
 * The tables of a store's ledger, in the order of an export; the index is rebuilt from them. Namespaces come first,
 * because they remember a tombstone that is purged while the import goes on.
 */
export const LEDGER_TABLES: Table[] = [
  ...LEDGER.map(([name, key]) => table(name, key.split(", "))).sort(
    (a, b) => Number(b.name === "namespaces") - Number(a.name === "namespaces"),
  ),
  table("store_revisions", []),
];

/** The access tables: organizations, stores, connectors and keys. No row refers to a later one. */
export const ACCESS_TABLES: Table[] = [
  table("organizations", ["id"]),
  table("vector_stores", ["id"]),
  table("connectors", ["id"]),
  table("api_keys", ["id"]),
  table("api_key_usage", ["key_id"]),
];
