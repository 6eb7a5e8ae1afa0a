import { OrganizationId, VectorStoreId } from "@tidemark/protocol/identifiers";
import type { Role } from "@tidemark/protocol/management";
import type { FastifyInstance, FastifyRequest, HTTPMethods } from "fastify";
import { type Static, type TSchema, Type } from "typebox";
import type { Identity } from "../access/api-keys.ts";
import { describeRoute, type RouteDescription } from "./openapi.ts";
import { permit } from "./permissions.ts";

export const OrganizationParams = Type.Object({ organization_id: OrganizationId });
export const StoreParams = Type.Object({ ...OrganizationParams.properties, vector_store_id: VectorStoreId });

/** Statuses of the errors that each of these routes may answer. */
const ERRORS = [401, 403, 404, 422, 503];
/** Statuses of the errors that a route with a body may answer as well. */
const BODY_ERRORS = [400, 413, 415];

/** A route that needs a key. Its schemas check and type the handler's arguments. */
interface KeyedRoute<Params extends TSchema, Query extends TSchema, Body extends TSchema>
  extends Omit<RouteDescription, "tag" | "errors" | "keyed"> {
  params: Params;
  querystring?: Query;
  body?: Body;
  /** Statuses of errors that only this route answers. */
  errors?: number[];
  /** The roles that may use the route. */
  roles: Role[];
  /** The action in the audit log; the answer's `id` is the target. */
  audit?: string;
  handler(request: {
    params: Static<Params>;
    query: Static<Query>;
    body: Static<Body>;
    identity: Identity;
  }): Promise<object>;
}

/** Returns a function that adds documented and audited routes with this tag, and checks the key's role. */
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

/** Logs which key did what to which object. */
function logAudit(request: FastifyRequest, action: string, target: string): void {
  const { keyId, organizationId } = request.identity;
  request.log.info({ audit: action, target, key_id: keyId, organization_id: organizationId }, "audit");
}
