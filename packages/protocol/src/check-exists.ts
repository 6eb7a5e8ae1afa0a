import { type Static, Type } from "typebox";
import { Namespace, OrganizationId, RecordId, VectorStoreId } from "./identifiers.ts";
import { LIMITS } from "./limits.ts";

export const CheckExistsRequest = Type.Object(
  {
    organization_id: OrganizationId,
    vector_store_id: VectorStoreId,
    namespace: Namespace,
    ids: Type.Array(RecordId, { maxItems: LIMITS.batchOperations, description: "0 to 5000 ids." }),
  },
  { additionalProperties: false },
);
export type CheckExistsRequest = Static<typeof CheckExistsRequest>;

export const CheckExistsResponse = Type.Object({
  existing_ids: Type.Array(Type.String(), {
    description: "The `ids` of existing records, in the request's order.",
  }),
  new_ids: Type.Array(Type.String(), { description: "The other `ids`, in the request's order." }),
  total_checked: Type.Integer({ description: "The length of `ids`." }),
});
export type CheckExistsResponse = Static<typeof CheckExistsResponse>;
