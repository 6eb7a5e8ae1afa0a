import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Logger } from "pino";
import { type Commands, openCommands } from "../src/commands.ts";
import { type Config, readConfig } from "../src/config.ts";
import { type App, buildApp } from "../src/http/app.ts";
import { startIndexer } from "../src/indexing/indexer.ts";
import { openLog } from "../src/log.ts";
import { openStorage } from "../src/storage/open.ts";
import type { Storage } from "../src/storage/port.ts";
import { usualEngine } from "./engines.ts";
import { whenDone } from "./when-done.ts";

/** An organization with one store and one connector. */
export interface Tenant {
  organizationId: string;
  storeId: string;
  connectorId: string;
  /** The connector's key. */
  key: string;
}

export interface TestServer {
  url: string;
  app: App;
  storage: Storage;
  commands: Commands;
  /** A clock that stands still until a test moves it, ms since 1970. */
  clock: { now: number };
  /** Sends the body as JSON, or unchanged if it is a string or bytes. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
  request(
    method: string,
    path: string,
    init?: { body?: unknown; headers?: Record<string, string> },
  ): Promise<Answer>;
}

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of every shape
  body: any;
}

/** A folder that is removed when the test ends. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-test-"));
  whenDone(t, () => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Parts that a test replaces. */
export interface TestParts {
  log?: Logger;
  /** Makes the commands that the HTTP server gets from the real ones. */
  wrap?: (commands: Commands) => Commands;
  /** Whether an indexer runs, as in a real server. */
  indexes?: boolean;
}

/** Starts a server in this process, on a free port and an empty database, and stops it when the test ends. */
export async function startTestServer(
  t: TestContext,
  overrides: Partial<Config> = {},
  { log: givenLog, wrap = (commands) => commands, indexes = false }: TestParts = {},
): Promise<TestServer> {
  const databaseUrl = overrides.databaseUrl ?? (await usualEngine().createDatabase(t));
  const config = readConfig({}, { port: 0, logLevel: "silent", ...overrides, databaseUrl });
  const clock = { now: Date.UTC(2025, 10, 11, 12) };
  const storage = await openStorage(config.databaseUrl);
  const log = givenLog ?? openLog(config);
  const opened = openCommands(storage, config, () => clock.now);
  const indexer = indexes ? startIndexer(opened, log) : undefined;
  const commands: Commands = {
    ...opened,
    async sync(...args) {
      const answer = await opened.sync(...args);
      indexer?.wake();
      return answer;
    },
  };
  const app = await buildApp(config, wrap(commands), log, () => clock.now);
  const url = await app.server.listen({ host: "127.0.0.1", port: 0 });
  whenDone(t, async () => {
    await app.close();
    await indexer?.stop();
    await storage.close();
  });
  const request: TestServer["request"] = async (method, path, { body, headers = {} } = {}) => {
    const raw = body === undefined || typeof body === "string" || body instanceof Uint8Array;
    const response = await fetch(url + path, {
      method,
      headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
      body: (raw ? body : JSON.stringify(body)) as NonNullable<RequestInit["body"]>,
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : undefined };
  };
  return {
    url,
    app,
    storage,
    commands,
    clock,
    request,
    post: (path, body, headers) => request("POST", path, headers ? { body, headers } : { body }),
  };
}

/**
 * Brings the indexes of all stores up to date, for tests whose server has no indexer. Entries that must wait, for
 * example for an embeddings endpoint that is down, wait for a later call at a later time.
 */
export async function indexAll(commands: Commands): Promise<void> {
  for (const { storeId, settings } of await commands.storesToIndex()) {
    if (!(await commands.isIndexUpToDate(storeId, settings))) {
      await commands.beginBuild(storeId, settings);
    }
    for (;;) {
      const entries = await commands.claimEntries(storeId);
      if (entries.length === 0) break;
      const prepared = await commands.prepareEntries(storeId, entries);
      if (prepared) await commands.publishEntries(storeId, prepared);
    }
    for (;;) {
      const { step } = await commands.prepareBuildStep(storeId);
      if (!step) break;
      await commands.publishBuildStep(storeId, step);
    }
    await mergeAll(commands, storeId);
  }
}

async function mergeAll(commands: Commands, storeId: string): Promise<void> {
  for (;;) {
    const candidate = await commands.findMerge(storeId);
    const merge = candidate && (await commands.beginMerge(storeId, candidate));
    if (!merge) return;
    for (;;) {
      const blocks = await commands.nextMerged(storeId, merge);
      if (blocks === null) break;
      await commands.addToMerge(storeId, merge, blocks);
    }
    await commands.finishMerge(storeId, merge);
  }
}

/** Creates an organization with one store and one connector. */
export async function createTenant(commands: Commands, now: number = Date.now()): Promise<Tenant> {
  const organization = await commands.createOrganization({ name: "Test organization" }, now);
  const store = await commands.createVectorStore(organization.id, { name: "Test store" }, now);
  const connector = await commands.createConnector(
    organization.id,
    { name: "Test connector", storeId: store.id },
    now,
  );
  return {
    organizationId: organization.id,
    storeId: store.id,
    connectorId: connector.id,
    key: connector.api_key,
  };
}

/** Creates a reader or admin key for an organization. */
export async function createRoleKey(
  commands: Commands,
  role: "reader" | "admin",
  organizationId: string,
  storeId: string | null = null,
): Promise<string> {
  const key = await commands.createOwnerKey({ role, organizationId, storeId }, Date.now());
  return key.api_key;
}

/** The body of a tenant's sync request, with defaults for what a test does not care about. */
export function syncBody(tenant: Tenant, fields: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    organization_id: tenant.organizationId,
    vector_store_id: tenant.storeId,
    sync_mode: "incremental",
    sync_timestamp: "2025-11-11T10:30:00Z",
    operations: [],
    ...fields,
  };
}
