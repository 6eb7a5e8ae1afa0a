import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import type { HttpContext } from "./context.ts";
import { probeDatabase } from "./health-routes.ts";
import { describeRoute } from "./openapi.ts";

const Status = Type.Object({ status: Type.String() });

/** Probes for load balancers and orchestrators. They need no key and reveal no data. */
export function probeRoutes({ commands, draining }: HttpContext) {
  return async (app: FastifyInstance) => {
    app.get(
      "/livez",
      {
        schema: describeRoute({
          tag: "Operations",
          summary: "Report whether the process runs",
          response: Status,
          errors: [],
          keyed: false,
        }),
      },
      async () => ({ status: "ok" }),
    );
    app.get(
      "/readyz",
      {
        schema: describeRoute({
          tag: "Operations",
          summary: "Report whether the process is ready for requests",
          response: Status,
          errors: [],
          keyed: false,
        }),
      },
      async (_request, reply) => {
        if (draining()) return reply.code(503).send({ status: "draining" });
        const { reachable } = await probeDatabase(commands);
        return reply.code(reachable ? 200 : 503).send({ status: reachable ? "ok" : "database unreachable" });
      },
    );
  };
}

/** The route of the Prometheus metrics. */
export function metricsRoute({ metrics }: Pick<HttpContext, "metrics">) {
  return async (app: FastifyInstance) => {
    app.get("/metrics", { schema: { hide: true } }, async (_request, reply) =>
      reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
    );
  };
}
