import type { SearchRequest } from "@tidemark/protocol/search";
import { createOwnerKey, identify, listKeys, noteKeyUse, revokeKeys } from "./access/api-keys.ts";
import {
  createConnector,
  createConnectorKey,
  deleteConnector,
  getConnector,
  listConnectors,
  revokeConnectorKey,
  updateConnector,
} from "./access/connectors.ts";
import { createOrganization, findOrganization, listOrganizations } from "./access/organizations.ts";
import {
  createVectorStore,
  deleteVectorStore,
  getVectorStore,
  listVectorStores,
  updateVectorStore,
} from "./access/vector-stores.ts";
import { listFailed } from "./browse/failed-records.ts";
import { indexingOf, indexingOfAll } from "./browse/index-progress.ts";
import { getIndexStatus } from "./browse/index-status.ts";
import { listNamespaces } from "./browse/namespaces.ts";
import { getRecord, listRecords } from "./browse/records.ts";
import { listRefreshes } from "./browse/refreshes.ts";
import { getSync, listSyncs } from "./browse/syncs.ts";
import { verifyStore } from "./browse/verify.ts";
import type { Config } from "./config.ts";
import { openEmbedder } from "./embedding/endpoint-embedder.ts";
import { EndpointPause } from "./embedding/endpoint-pause.ts";
import { retryFailed } from "./indexing/retry-failed.ts";
import { type IndexingContext, indexSteps } from "./indexing/steps.ts";
import { abortRefresh } from "./ledger/abort-refresh.ts";
import { runMaintenance } from "./maintenance.ts";
import { answerCheckExists, answerSync } from "./pipeline.ts";
import { type SearchContext, search } from "./search/search.ts";
import type { Sql, Storage } from "./storage/port.ts";

/** What a command needs; its thread follows from it (see threads/). */
export type Duty = "read" | "write" | "index";

/** What every command can use. */
export interface CommandContext {
  storage: Storage;
  config: Config;
  indexing: IndexingContext;
  searching: SearchContext;
  /** The clock, ms since 1970. */
  now(): number;
}

interface Command<Args extends unknown[], Result> {
  duty: Duty;
  run(context: CommandContext, ...args: Args): Promise<Result>;
}

type Work<Args extends unknown[], Result> = (sql: Sql, ...args: Args) => Promise<Result>;

/** A command that runs in one read-only transaction. */
const read = <Args extends unknown[], Result>(work: Work<Args, Result>): Command<Args, Result> => ({
  duty: "read",
  run: ({ storage }, ...args) => storage.read((sql) => work(sql, ...args)),
});

/** A command that runs in one write transaction on organizations, stores, connectors and keys. */
const write = <Args extends unknown[], Result>(work: Work<Args, Result>): Command<Args, Result> => ({
  duty: "write",
  run: ({ storage }, ...args) => storage.write((sql) => work(sql, ...args)),
});

/** A command that runs in one write transaction under the store lock, so that the store's syncs wait. */
const writeLocked = <Args extends [organizationId: string, storeId: string, ...unknown[]], Result>(
  work: Work<Args, Result>,
): Command<Args, Result> => ({
  duty: "write",
  run: ({ storage }, ...args) => storage.write((sql) => work(sql, ...args), args[1]),
});

/** A command that opens its own transactions; those of `storage.ledger` take the store lock. */
const own = <Args extends unknown[], Result>(
  duty: Duty,
  run: Command<Args, Result>["run"],
): Command<Args, Result> => ({ duty, run });

/** A command that opens its own transactions and uses the indexer's context. */
const step = <Args extends unknown[], Result>(
  duty: Exclude<Duty, "read">,
  work: (context: IndexingContext, ...args: Args) => Promise<Result>,
): Command<Args, Result> => own(duty, ({ indexing }, ...args) => work(indexing, ...args));

/**
 * Everything that the server does besides HTTP. Commands take and return plain data, so they can run in any thread.
 * A command's row determines its thread, its transaction and its kind of connection.
 */
export const COMMANDS = {
  // The pipeline.
  sync: own("write", answerSync),
  checkExists: own("read", answerCheckExists),
  search: own("read", ({ searching }, organizationId: string, storeId: string, request: SearchRequest) =>
    search(searching, organizationId, storeId, request),
  ),

  // Organizations, stores, connectors and keys.
  identify: read(identify),
  noteKeyUse: write(noteKeyUse),
  findOrganization: read(findOrganization),
  listOrganizations: read(listOrganizations),
  createOrganization: write(createOrganization),
  getVectorStore: read(getVectorStore),
  listVectorStores: read(listVectorStores),
  createVectorStore: write(createVectorStore),
  updateVectorStore: write(updateVectorStore),
  deleteVectorStore: write(deleteVectorStore),
  getConnector: read(getConnector),
  listConnectors: read(listConnectors),
  createConnector: write(createConnector),
  updateConnector: write(updateConnector),
  deleteConnector: write(deleteConnector),
  listKeys: read(listKeys),
  createOwnerKey: write(createOwnerKey),
  createConnectorKey: write(createConnectorKey),
  revokeConnectorKey: write(revokeConnectorKey),
  revokeKeys: write(revokeKeys),

  // The contents of a store.
  listNamespaces: read(listNamespaces),
  listRecords: read(listRecords),
  getRecord: read(getRecord),
  listRefreshes: read(listRefreshes),
  abortRefresh: own(
    "write",
    async (
      { storage },
      organizationId: string,
      storeId: string,
      runId: string,
      connectorId: string | null,
    ) => {
      await storage.read((sql) => getVectorStore(sql, organizationId, storeId));
      return abortRefresh(storage, storeId, runId, connectorId);
    },
  ),
  listSyncs: read(listSyncs),
  getSync: read(getSync),
  verifyStore: read(verifyStore),
  countRecords: own("read", ({ storage }) => storage.countRecords()),

  // The progress of a store's index, and its failed records.
  indexingOf: read(indexingOf),
  indexingOfAll: read(indexingOfAll),
  getIndexStatus: read(getIndexStatus),
  listFailed: read(listFailed),
  retryFailed: writeLocked(retryFailed),

  // The indexer's steps: it prepares in parallel with syncs and publishes between them.
  storesToIndex: step("index", indexSteps.storesToIndex),
  isIndexUpToDate: step("index", indexSteps.isIndexUpToDate),
  beginBuild: step("write", indexSteps.beginBuild),
  claimEntries: step("write", indexSteps.claimEntries),
  renewClaim: step("write", indexSteps.renewClaim),
  prepareEntries: step("index", indexSteps.prepareEntries),
  publishEntries: step("write", indexSteps.publishEntries),
  deferEntry: step("write", indexSteps.deferEntry),
  prepareBuildStep: step("index", indexSteps.prepareBuildStep),
  publishBuildStep: step("write", indexSteps.publishBuildStep),
  findMerge: step("index", indexSteps.findMerge),
  beginMerge: step("write", indexSteps.beginMerge),
  nextMerged: step("index", indexSteps.nextMerged),
  addToMerge: step("write", indexSteps.addToMerge),
  finishMerge: step("write", indexSteps.finishMerge),
  endMerge: step("index", indexSteps.endMerge),
  // The database can build an index of vectors in parallel with syncs.
  maintainVectors: step("index", indexSteps.maintainVectors),

  // The server's own work. Counting a request never waits for a sync, so the thread that reads can do it.
  countRequest: own("read", ({ storage, now }, window: string, limit: number, windowMs: number) =>
    storage.countRequest(window, limit, windowMs, now()),
  ),
  runMaintenance: own("write", runMaintenance),
};

export type CommandName = keyof typeof COMMANDS;

/** The commands as callers see them, in whichever thread they run. @throws ApiError as each function documents */
export type Commands = {
  [Name in CommandName]: (typeof COMMANDS)[Name] extends Command<infer Args, infer Result>
    ? (...args: Args) => Promise<Result>
    : never;
};

/** The commands over one open storage. @param now the clock, ms since 1970 */
export function openCommands(storage: Storage, config: Config, now: () => number = Date.now): Commands {
  const embedder = openEmbedder(config);
  const indexing: IndexingContext = {
    storage,
    embedder,
    embeddings: embedder && { model: embedder.model, dimensions: config.embeddingsDimensions || null },
    pause: new EndpointPause(),
    merges: new Map(),
    now,
  };
  const searching = { storage, embedder, pause: new EndpointPause(), now };
  const context: CommandContext = { storage, config, indexing, searching, now };
  return commandsThrough((name, args) => {
    const { run } = COMMANDS[name] as Command<unknown[], unknown>;
    return run(context, ...args);
  });
}

/** Commands that pass their name and their arguments to `call`. */
export function commandsThrough(call: (name: CommandName, args: unknown[]) => Promise<unknown>): Commands {
  const names = Object.keys(COMMANDS) as CommandName[];
  return Object.fromEntries(
    names.map((name) => [name, (...args: unknown[]) => call(name, args)]),
  ) as Commands;
}
