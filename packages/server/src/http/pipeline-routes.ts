import { CheckExistsRequest, CheckExistsResponse } from "@tidemark/protocol/check-exists";
import { ApiError, validationError } from "@tidemark/protocol/errors";
import { SyncRequest, SyncResponse } from "@tidemark/protocol/sync";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { newId } from "../objects/ids.ts";
import type { RequestBody } from "../wire/read-body.ts";
import type { HttpContext } from "./context.ts";
import { describeRoute } from "./openapi.ts";
import { limitRate } from "./rate-limits.ts";
import { receiveRawBodies } from "./request-body.ts";

/** Routes of `sync` and `check-exists`, under one prefix. */
export function pipelineRoutes(context: HttpContext) {
  const { commands, config, authentication, metrics, inFlight, now } = context;
  const limit = (policy: "sync" | "check-exists") =>
    limitRate(policy, config.rateLimitPerMinute, commands, now);
  return async (app: FastifyInstance) => {
    // The commands check bodies in their own thread; the schemas here only document them.
    app.setValidatorCompiler(() => () => true);
    receiveRawBodies(app, config.bodyLimitBytes, inFlight);
    app.addHook("preValidation", async (request) => {
      // Fastify skips the parser if a request has neither a body nor a content type.
      if (request.body === undefined) throw new ApiError("UNSUPPORTED_MEDIA_TYPE");
    });
    app.route<{ Body: RequestBody }>({
      method: "POST",
      url: "/check-exists",
      schema: describeRoute({
        tag: "Pipeline",
        summary: "Check which ids exist in a namespace",
        body: CheckExistsRequest,
        response: CheckExistsResponse,
        errors: [400, 401, 403, 413, 415, 422, 429, 503],
      }),
      onRequest: [authentication.authenticate, limit("check-exists")],
      handler: async (request, reply) => {
        const answer = await commands.checkExists(request.body, request.identity);
        metrics.noteDatabase("check-exists", answer.databaseMs);
        return reply.type("application/json; charset=utf-8").send(answer.json);
      },
    });
    app.route<{ Body: RequestBody }>({
      method: "POST",
      url: "/sync",
      schema: describeRoute({
        tag: "Pipeline",
        summary: "Apply up to 5000 upserts and deletes atomically",
        body: SyncRequest,
        response: SyncResponse,
        errors: [400, 401, 403, 409, 413, 415, 422, 429, 503],
      }),
      onRequest: [authentication.authenticate, limit("sync")],
      handler: async (request, reply) => {
        const answer = await commands.sync(request.body, request.identity, {
          syncId: newId("sync"),
          runId: newId("run"),
          traceId: request.id,
          idempotencyKey: readIdempotencyKey(request),
        });
        if (answer.replayed) reply.header("idempotency-replayed", "true");
        if (answer.executed) metrics.noteSync(answer);
        return reply.type("application/json; charset=utf-8").send(answer.json);
      },
    });
  };
}

/** @throws ApiError VALIDATION_ERROR for a key that is not 1 to 255 printable ASCII characters */
function readIdempotencyKey(request: FastifyRequest): string | null {
  const key = request.headers["idempotency-key"];
  if (key === undefined) return null;
  if (typeof key === "string" && /^[\x20-\x7e]{1,255}$/.test(key)) return key;
  throw validationError([
    {
      field: "Idempotency-Key",
      code: "INVALID_FORMAT",
      message: "Must be 1 to 255 printable ASCII characters.",
    },
  ]);
}
