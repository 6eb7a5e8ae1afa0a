import type { Sql } from "../storage/port.ts";
import { createOwnerKey, identify, listKeys, noteKeyUse, revokeKeys } from "./api-keys.ts";
import {
  createConnector,
  createConnectorKey,
  deleteConnector,
  getConnector,
  listConnectors,
  revokeConnectorKey,
  updateConnector,
} from "./connectors.ts";
import { createOrganization, findOrganization, listOrganizations } from "./organizations.ts";
import {
  createVectorStore,
  deleteVectorStore,
  getVectorStore,
  listVectorStores,
  updateVectorStore,
} from "./vector-stores.ts";

/** Those that only read: they run beside a write, from one snapshot. */
export const accessReads = {
  identify,
  findOrganization,
  listOrganizations,
  getVectorStore,
  listVectorStores,
  getConnector,
  listConnectors,
  listKeys,
};

/** Those that write: each is one transaction. */
export const accessWrites = {
  createOrganization,
  createVectorStore,
  updateVectorStore,
  deleteVectorStore,
  createConnector,
  updateConnector,
  deleteConnector,
  createConnectorKey,
  revokeConnectorKey,
  createOwnerKey,
  revokeKeys,
  noteKeyUse,
};

type Functions = typeof accessReads & typeof accessWrites;
export type AccessName = keyof Functions;
export type AccessArguments<Name extends AccessName> =
  Parameters<Functions[Name]> extends [Sql, ...infer Rest] ? Rest : never;
export type AccessResult<Name extends AccessName> = Awaited<ReturnType<Functions[Name]>>;
