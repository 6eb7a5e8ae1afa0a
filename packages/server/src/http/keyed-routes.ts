import { OrganizationId, VectorStoreId } from "@tidemark/protocol/identifiers";
import type { Role } from "@tidemark/protocol/management";
import type { FastifyInstance, FastifyRequest, HTTPMethods } from "fastify";
import { type Static, type TSchema, Type } from "typebox";
import type { Identity } from "../access/api-keys.ts";
import { describeRoute, type RouteDescription } from "./openapi.ts";
import { permit } from "./permissions.ts";

export const OrganizationParams = Type.Object({ organization_id: OrganizationId });
export const StoreParams = Type.Object({ ...OrganizationParams.properties, vector_store_id: VectorStoreId });

/** Statuses of the errors that each of these routes may answer, and of those that come with a body. */
const ERRORS = [401, 403, 404, 422, 503];
const BODY_ERRORS = [400, 413, 415];

/** A route that a key opens, with its handler's arguments checked against the schemas beside it. */
interface KeyedRoute<Params extends TSchema, Query extends TSchema, Body extends TSchema>
  extends Omit<RouteDescription, "tag" | "errors" | "keyed"> {
  params: Params;
  querystring?: Query;
  body?: Body;
  /** Statuses of errors that this route answers beside the usual ones. */
  errors?: number[];
  /** The keys that open it. */
  roles: Role[];
  /** Names what was done in the audit log; what it was done to is the answer's `id`. */
  audit?: string;
  handler(request: {
    params: Static<Params>;
    query: Static<Query>;
    body: Static<Body>;
    identity: Identity;
  }): Promise<object>;
}

/** Gives a function that adds routes with one tag to the app: documented, opened by keys of some roles, audited. */
export function keyedRoutes(app: FastifyInstance, tag: RouteDescription["tag"]) {
  return <Params extends typeof OrganizationParams, Query extends TSchema, Body extends TSchema>(
    method: HTTPMethods,
    url: string,
    { roles, audit, handler, errors = [], ...description }: KeyedRoute<Params, Query, Body>,
  ): void => {
    const expected = [...ERRORS, ...(description.body ? BODY_ERRORS : []), ...errors];
    app.route({
      method,
      url,
      schema: describeRoute({ ...description, tag, errors: expected }),
      preHandler: permit(...roles),
      handler: async (request, reply) => {
        const answer = await handler(request as FastifyRequest & Parameters<typeof handler>[0]);
        if (audit) logAudit(request, audit, (answer as { id: string }).id);
        return reply.code(description.status ?? 200).send(answer);
      },
    });
  };
}

/** An audit line: who did what to what. */
function logAudit(request: FastifyRequest, action: string, target: string): void {
  const { keyId, organizationId } = request.identity;
  request.log.info({ audit: action, target, key_id: keyId, organization_id: organizationId }, "audit");
}
