import { ApiError } from "@tidemark/protocol/errors";
import type { FastifyInstance, HTTPMethods } from "fastify";

const METHODS: HTTPMethods[] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/**
 * Makes every path answer 405 to methods that it does not support, with the supported ones in `Allow`.
 * Call this function before adding the routes, and the returned function after adding them.
 */
export function rejectOtherMethods(app: FastifyInstance): () => void {
  const methodsByUrl = new Map<string, Set<HTTPMethods>>();
  app.addHook("onRoute", ({ url, method }) => {
    const methods = methodsByUrl.get(url) ?? new Set();
    methodsByUrl.set(url, methods);
    for (const name of [method].flat()) methods.add(name as HTTPMethods);
  });
  return () => {
    for (const [url, methods] of [...methodsByUrl]) {
      const allow = [...methods].sort().join(", ");
      const others = METHODS.filter((method) => !methods.has(method));
      if (url.includes("*") || others.length === 0) continue;
      app.route({
        method: others,
        url,
        schema: { hide: true },
        onRequest: async (_request, reply) => {
          reply.header("allow", allow);
          throw new ApiError("METHOD_NOT_ALLOWED");
        },
        handler: () => {},
      });
    }
  };
}
