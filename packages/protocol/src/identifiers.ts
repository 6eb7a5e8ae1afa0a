import { Type } from "typebox";
import { LIMITS } from "./limits.ts";

const prefixed = (prefix: string, what: string) =>
  Type.String({
    pattern: `^${prefix}_.+$`,
    maxLength: LIMITS.identifierCodePoints,
    description: `Id of ${what}, prefixed \`${prefix}_\`.`,
  });

export const OrganizationId = prefixed("org", "an organization");
export const VectorStoreId = prefixed("vs", "a vector store");
export const ConnectorId = prefixed("conn", "a connector");
export const ApiKeyId = prefixed("key", "an API key");

export const Namespace = Type.String({
  minLength: 1,
  maxLength: LIMITS.identifierCodePoints,
  description: "One stream of a source, such as `clickup_tasks`. Compared byte for byte.",
});

export const RecordId = Type.String({
  minLength: 1,
  maxLength: LIMITS.identifierCodePoints,
  description: "The source system's id of a record. Compared byte for byte.",
});
