import { ApiError } from "@tidemark/protocol/errors";
import type { Role } from "@tidemark/protocol/management";
import type { FastifyRequest } from "fastify";

/**
 * Returns a route hook that allows keys of these roles to access their own organization and store.
 * @throws ApiError INSUFFICIENT_PERMISSIONS
 */
export function permit(...roles: Role[]) {
  return async (request: FastifyRequest): Promise<void> => {
    const { identity } = request;
    const params = request.params as { organization_id: string; vector_store_id?: string };
    const allowed =
      roles.includes(identity.role) &&
      identity.organizationId === params.organization_id &&
      (identity.storeId === null ||
        params.vector_store_id === undefined ||
        identity.storeId === params.vector_store_id);
    if (!allowed) throw new ApiError("INSUFFICIENT_PERMISSIONS");
  };
}
