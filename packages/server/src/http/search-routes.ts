import { OrganizationId, VectorStoreId } from "@tidemark/protocol/identifiers";
import { LIMITS } from "@tidemark/protocol/limits";
import { SearchRequest, SearchResponse } from "@tidemark/protocol/search";
import type { FastifyInstance } from "fastify";
import { type Static, Type } from "typebox";
import type { HttpContext } from "./context.ts";
import { describeRoute } from "./openapi.ts";
import { permit } from "./permissions.ts";
import { receiveJsonBodies } from "./request-body.ts";
import { strictValidator } from "./strict-validator.ts";

const StoreParams = Type.Object({ organization_id: OrganizationId, vector_store_id: VectorStoreId });

/** Search in a store. */
export function searchRoutes({ commands, authentication, inFlight, metrics }: HttpContext) {
  return async (app: FastifyInstance) => {
    receiveJsonBodies(app, LIMITS.managementBodyBytes, inFlight);
    app.setValidatorCompiler(strictValidator);
    app.addHook("onRequest", authentication.authenticate);
    app.route<{ Params: Static<typeof StoreParams>; Body: SearchRequest }>({
      method: "POST",
      url: "/search",
      schema: describeRoute({
        tag: "Search",
        summary: "Search the records of a store",
        params: StoreParams,
        body: SearchRequest,
        response: SearchResponse,
        errors: [400, 401, 403, 404, 409, 413, 415, 422, 503],
      }),
      preHandler: permit("admin", "reader"),
      handler: async ({ params, body }) => {
        const started = performance.now();
        const answer = await commands.search(params.organization_id, params.vector_store_id, body);
        metrics.noteSearch(answer, body.after_sync === undefined ? performance.now() - started : null);
        return answer;
      },
    });
  };
}
