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

/** Every function that a command may name; reads.ts says which of them only read. */
export const accessFunctions = {
  identify,
  findOrganization,
  listOrganizations,
  getVectorStore,
  listVectorStores,
  getConnector,
  listConnectors,
  listKeys,
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

type Functions = typeof accessFunctions;
export type AccessName = keyof Functions;
export type AccessArguments<Name extends AccessName> =
  Parameters<Functions[Name]> extends [Sql, ...infer Rest] ? Rest : never;
export type AccessResult<Name extends AccessName> = Awaited<ReturnType<Functions[Name]>>;
