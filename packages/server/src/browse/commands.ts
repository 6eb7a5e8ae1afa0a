import type { Sql } from "../storage/port.ts";
import { listFailed, retryFailed } from "./failed-records.ts";
import { getIndexStatus } from "./index-status.ts";
import { indexingOf, indexingOfAll } from "./indexing.ts";
import { listNamespaces } from "./namespaces.ts";
import { getRecord, listRecords } from "./records.ts";
import { giveUpRefresh, listRefreshes } from "./refreshes.ts";
import { getSync, listSyncs } from "./syncs.ts";
import { verifyStore } from "./verify.ts";

/** What can be asked of a store besides check-exists. */
export const browseFunctions = {
  listNamespaces,
  listRecords,
  getRecord,
  listRefreshes,
  giveUpRefresh,
  listSyncs,
  getSync,
  verifyStore,
  indexingOf,
  indexingOfAll,
  getIndexStatus,
  listFailed,
  retryFailed,
};

type Functions = typeof browseFunctions;
export type BrowseName = keyof Functions;
export type BrowseArguments<Name extends BrowseName> =
  Parameters<Functions[Name]> extends [Sql, ...infer Rest] ? Rest : never;
export type BrowseResult<Name extends BrowseName> = Awaited<ReturnType<Functions[Name]>>;
