import { LIMITS } from "@tidemark/protocol/limits";
import { SearchRequest, SearchResponse } from "@tidemark/protocol/search";
import type { FastifyInstance } from "fastify";
import type { HttpContext } from "./context.ts";
import { keyedRoutes, StoreParams } from "./keyed-routes.ts";
import { receiveJsonBodies } from "./request-body.ts";
import { strictValidator } from "./strict-validator.ts";

/** The route that searches a store. */
export function searchRoutes({ commands, authentication, inFlight, metrics }: HttpContext) {
  return async (app: FastifyInstance) => {
    receiveJsonBodies(app, LIMITS.managementBodyBytes, inFlight);
    app.setValidatorCompiler(strictValidator);
    app.addHook("onRequest", authentication.authenticate);
    keyedRoutes(app, "Search")("POST", "/search", {
      summary: "Search the records of a store",
      params: StoreParams,
      body: SearchRequest,
      response: SearchResponse,
      errors: [409],
      roles: ["admin", "reader"],
      handler: async ({ params, body }) => {
        const started = performance.now();
        const answer = await commands.search(params.organization_id, params.vector_store_id, body);
        metrics.noteSearch(answer, body.after_sync === undefined ? performance.now() - started : null);
        return answer;
      },
    });
  };
}
