import type { TestContext } from "node:test";
import type { CheckExistsResponse } from "@tidemark/protocol/check-exists";
import type { SyncResponse } from "@tidemark/protocol/sync";
import type { Identity } from "../src/access/api-keys.ts";
import { type Commands, openCommands } from "../src/commands.ts";
import { readConfig } from "../src/config.ts";
import { newId } from "../src/objects/ids.ts";
import type { SyncCall } from "../src/pipeline.ts";
import { openStorage } from "../src/storage/open.ts";
import type { Forgetting, Storage } from "../src/storage/port.ts";
import type { TestEngine } from "./engines.ts";
import { createTenant, type Tenant } from "./test-server.ts";
import { whenDone } from "./when-done.ts";

/** The ledger on one engine, called as the HTTP server calls it but without HTTP. */
export interface TestLedger {
  databaseUrl: string;
  storage: Storage;
  commands: Commands;
  /** A clock that stands still until a test moves it, ms since 1970. */
  clock: { now: number };
  /** Creates a vector store with a connector, in a new organization. */
  createStore(): Promise<TestStore>;
}

/** One vector store, and the calls of its connector. */
export interface TestStore extends Tenant {
  /** Sends a sync. @param fields its operations are objects, or the JSON text of all. @throws ApiError */
  sync(fields: SyncFields, idempotencyKey?: string | null): Promise<SyncResponse>;
  checkExists(namespace: string, ids: string[]): Promise<CheckExistsResponse>;
  /** `record_count` of the vector store. */
  recordCount(): Promise<number>;
}

export interface SyncFields {
  sync_mode?: "incremental" | "full_refresh";
  sync_timestamp?: string;
  operations?: object[] | string;
  namespaces?: string[];
  last_batch?: boolean;
  refresh_id?: string;
  expected_operations?: number;
  removal_limit?: number | string;
  dry_run?: boolean;
  on_error?: "abort" | "continue";
}

/** Opens an empty database of an engine, and closes it when the test ends. */
export async function openTestLedger(
  t: TestContext,
  engine: TestEngine,
  options: { quick?: boolean } = {},
): Promise<TestLedger> {
  const databaseUrl = await engine.createDatabase(t, options);
  const storage = await openStorage(databaseUrl);
  whenDone(t, () => storage.close());
  return { databaseUrl, ...ledgerOver(storage) };
}

/** A ledger on a storage that is already open, such as a second one on the same database. */
export function ledgerOver(storage: Storage): Omit<TestLedger, "databaseUrl"> {
  const clock = { now: Date.UTC(2025, 10, 11, 12) };
  const commands = openCommands(storage, readConfig({}), () => clock.now);
  const createStore = async () => storeOf(commands, await createTenant(commands, clock.now));
  return { storage, commands, clock, createStore };
}

/** What the server knows about a sync request besides its body. */
export function newSyncCall(idempotencyKey: string | null = null): SyncCall {
  return { syncId: newId("sync"), runId: newId("run"), traceId: "req_test", idempotencyKey };
}

/** The calls of a tenant's connector. */
export function storeOf(commands: Commands, tenant: Tenant): TestStore {
  const { organizationId, storeId, connectorId } = tenant;
  const identity: Identity = {
    keyId: "key_test",
    role: "connector",
    organizationId,
    storeId,
    connectorId,
    expiresAt: null,
  };
  const target = { organization_id: organizationId, vector_store_id: storeId };
  return {
    ...tenant,
    async sync({ operations = [], ...fields }, idempotencyKey = null) {
      const head = {
        sync_mode: "incremental",
        sync_timestamp: "2025-11-11T10:30:00Z",
        ...target,
        ...fields,
      };
      const list = typeof operations === "string" ? operations : JSON.stringify(operations);
      const body = `${JSON.stringify(head).slice(0, -1)},"operations":${list}}`;
      const { json } = await commands.sync(bodyOf(body), identity, newSyncCall(idempotencyKey));
      return JSON.parse(json);
    },
    async checkExists(namespace, ids) {
      const { json } = await commands.checkExists(
        bodyOf(JSON.stringify({ ...target, namespace, ids })),
        identity,
      );
      return JSON.parse(json);
    },
    async recordCount() {
      const store = await commands.getVectorStore(organizationId, storeId);
      return store.record_count;
    },
  };
}

// Each body has its own memory, because a command may detach it.
const bodyOf = (text: string) => ({ bytes: new TextEncoder().encode(text), gzip: false });

/** Sweeps until nothing is left. @returns the number of steps */
export async function sweepAll(storage: Storage, now: number): Promise<number> {
  let steps = 0;
  while ((await storage.sweep(now)).more) steps++;
  return steps;
}

/** Forgets everything that is older than the given times (ms since 1970). */
export async function forgetAll(storage: Storage, before: Partial<Forgetting>): Promise<void> {
  const moments = { tombstones: 0, openRuns: 0, answers: 0, history: 0, ...before };
  while ((await storage.forget(moments)).rows > 0);
}
