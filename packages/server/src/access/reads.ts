import type { AccessName } from "./commands.ts";

const READS: AccessName[] = [
  "identify",
  "findOrganization",
  "listOrganizations",
  "getVectorStore",
  "listVectorStores",
  "getConnector",
  "listConnectors",
  "listKeys",
];

/** True for functions that only read: they run from one snapshot, beside a write. */
export function isAccessRead(name: AccessName): boolean {
  return READS.includes(name);
}
