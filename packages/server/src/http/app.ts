import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import { ApiError } from "@tidemark/protocol/errors";
import { LIMITS } from "@tidemark/protocol/limits";
import { type FastifyInstance, fastify, LogController } from "fastify";
import type { Logger } from "pino";
import type { Commands } from "../commands.ts";
import type { Config } from "../config.ts";
import { Authentication } from "./authentication.ts";
import { browseRoutes } from "./browse-routes.ts";
import type { HttpContext } from "./context.ts";
import { answerClientError, sendError } from "./errors.ts";
import { healthRoutes } from "./health-routes.ts";
import { IndexProgress } from "./index-progress.ts";
import { managementRoutes } from "./management-routes.ts";
import { rejectOtherMethods } from "./methods.ts";
import { Metrics } from "./metrics.ts";
import { finishDocument, OPENAPI_HEAD } from "./openapi.ts";
import { metricsRoute, probeRoutes } from "./operations-routes.ts";
import { pipelineRoutes } from "./pipeline-routes.ts";
import { SlidingWindows } from "./rate-limits.ts";
import { BytesInFlight } from "./request-body.ts";
import { newRequestId } from "./request-id.ts";
import { searchRoutes } from "./search-routes.ts";

const PIPELINE_PREFIXES = ["/v1/pipeline", "/v1/connectors/pipeline"];
const HEADER_BYTES = 16 * 1024;
const IDLE_CONNECTION_MS = 72_000;

export interface App {
  server: FastifyInstance;
  /** Serves only `/metrics`; undefined unless the settings give metrics a port of their own. */
  metricsServer: FastifyInstance | undefined;
  /** Makes the server answer new requests with 503, except probes. */
  drain(): void;
  close(): Promise<void>;
}

/** Returns the HTTP servers for these commands. They do not listen yet. */
export async function buildApp(
  config: Config,
  commands: Commands,
  log: Logger,
  now: () => number = Date.now,
): Promise<App> {
  let draining = false;
  const inFlight = new BytesInFlight(config.bytesInFlightMax);
  const indexProgress = new IndexProgress(commands, now);
  const metrics = new Metrics(commands, () => inFlight.held, indexProgress);
  const context: HttpContext = {
    config,
    commands,
    authentication: new Authentication(commands, new SlidingWindows(config.failedAuthPerMinute), now),
    metrics,
    indexProgress,
    inFlight,
    log,
    now,
    draining: () => draining,
  };
  const server = createServer(config, log);
  metrics.observe(server);

  server.addHook("onRequest", async (request) => {
    if (draining && !isProbe(request.url)) {
      throw new ApiError("SERVICE_UNAVAILABLE", { outcome: "not_applied", reason: "the server is stopping" });
    }
  });

  server.addHook("onSend", async (_request, reply) => {
    // An idle connection would delay the shutdown.
    if (draining) reply.header("connection", "close");
  });

  const ownMetricsPort = config.metricsPort !== 0;
  await addRoutes(server, context, { metrics: !ownMetricsPort });
  const metricsServer = ownMetricsPort ? createServer(config, log) : undefined;
  await metricsServer?.register(metricsRoute(context));

  return {
    server,
    metricsServer,
    drain() {
      draining = true;
    },
    async close() {
      await server.close();
      await metricsServer?.close();
      await context.authentication.close();
    },
  };
}

/** Adds every route, and the page that documents them. */
async function addRoutes(
  server: FastifyInstance,
  context: HttpContext,
  options: { metrics: boolean },
): Promise<void> {
  await server.register(swagger, {
    openapi: OPENAPI_HEAD as never,
    transformObject: (document) =>
      finishDocument((document as { openapiObject: object }).openapiObject) as never,
  });
  await server.register(swaggerUi, { routePrefix: "/docs" });
  const finishMethods = rejectOtherMethods(server);
  await server.register(async (api) => {
    // This check follows the rate limit, so that a 406 also has the rate limit's headers.
    api.addHook("preParsing", async (request) => {
      if (!acceptsJson(request.headers.accept)) throw new ApiError("NOT_ACCEPTABLE");
    });
    for (const prefix of PIPELINE_PREFIXES) {
      await api.register(healthRoutes(context), { prefix });
      await api.register(pipelineRoutes(context), { prefix });
    }
    await api.register(managementRoutes(context), { prefix: "/v1/organizations" });
    const prefix = "/v1/organizations/:organization_id/vector-stores/:vector_store_id";
    await api.register(browseRoutes(context), { prefix });
    await api.register(searchRoutes(context), { prefix });
  });
  await server.register(probeRoutes(context));
  if (options.metrics) await server.register(metricsRoute(context));
  finishMethods();
}

/** Whether an `Accept` header (RFC 9110) allows application/json; a missing header does. */
function acceptsJson(accept = "*/*"): boolean {
  return accept.split(",").some((range) => {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const refused = parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
    return ["*/*", "application/*", "application/json", ""].includes(type) && !refused;
  });
}

const isProbe = (url: string) => url === "/livez" || url === "/readyz" || url === "/metrics";

/** Returns a server without routes, with the rules for every answer: errors, request ids, logs, limits. */
function createServer(config: Config, log: Logger): FastifyInstance {
  const server = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: "trace_id" }),
    requestIdHeader: false,
    genReqId: newRequestId,
    trustProxy: config.trustedProxies.length > 0 ? config.trustedProxies : false,
    bodyLimit: Math.max(config.bodyLimitBytes, LIMITS.managementBodyBytes),
    requestTimeout: config.requestTimeoutMs,
    keepAliveTimeout: IDLE_CONNECTION_MS,
    forceCloseConnections: "idle",
    return503OnClosing: false,
    http: {
      maxHeaderSize: HEADER_BYTES,
      headersTimeout: Math.min(config.requestTimeoutMs, 60_000),
      // The hook below rejects a missing header, because Node's own answer has no body.
      requireHostHeader: false,
    },
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => {
      reply.header("x-request-id", request.id);
      sendError(error, request, reply as never);
    },
    // The schemas reject parameters that are too long.
    routerOptions: { maxParamLength: HEADER_BYTES },
  });
  // RFC 9110 lets a server ignore unknown expectations; Node's own answer would have no body.
  server.server.on("checkExpectation", (request, response) =>
    server.server.emit("request", request, response),
  );
  server.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id);
    if (request.headers.host === undefined && request.raw.httpVersion === "1.1") {
      throw new ApiError("BAD_REQUEST", { reason: "The Host header is missing." });
    }
  });
  // Only routes add parsers, so that an unknown path is a 404 whatever the body is.
  server.removeAllContentTypeParsers();
  // Schemas document the answers; Fastify must not filter answers by them.
  server.setSerializerCompiler(() => (data) => JSON.stringify(data));
  server.setErrorHandler((error, request, reply) => sendError(error, request, reply));
  server.setNotFoundHandler((request, reply) =>
    sendError(new ApiError("RESOURCE_NOT_FOUND"), request, reply),
  );
  server.addHook("onResponse", async (request, reply) => {
    request.log.info(
      {
        method: request.method,
        route: request.routeOptions.url ?? null,
        status: reply.statusCode,
        duration_ms: Math.round(reply.elapsedTime),
        address: request.ip,
        key_id: request.identity?.keyId,
        organization_id: request.identity?.organizationId,
      },
      "request",
    );
  });
  return server as unknown as FastifyInstance;
}
