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
import { refuseOtherMethods } from "./methods.ts";
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
  /** Serves `/metrics` alone, where they have a port of their own. */
  metricsServer: FastifyInstance | undefined;
  /** From now on new requests get 503. */
  drain(): void;
  close(): Promise<void>;
}

/** Builds the HTTP side over some commands. It does not listen yet. */
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
    // A connection that stayed open behind its last answer would hold the shutdown up.
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

/** Adds every route, and the page that describes them. */
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
  const finishMethods = refuseOtherMethods(server);
  await server.register(async (api) => {
    // After the key and the rate limit, so that this answer has the limit's headers too.
    api.addHook("preParsing", async (request) => {
      if (!acceptsJson(request.headers.accept)) throw new ApiError("NOT_ACCEPTABLE");
    });
    for (const prefix of PIPELINE_PREFIXES) {
      await api.register(healthRoutes(context), { prefix });
      await api.register(pipelineRoutes(context), { prefix });
    }
    await api.register(managementRoutes(context), { prefix: "/v1/organizations" });
    const ofStore = { prefix: "/v1/organizations/:organization_id/vector-stores/:vector_store_id" };
    await api.register(browseRoutes(context), ofStore);
    await api.register(searchRoutes(context), ofStore);
  });
  await server.register(probeRoutes(context));
  if (options.metrics) await server.register(metricsRoute(context));
  finishMethods();
}

/** Whether an `Accept` header (RFC 9110) admits application/json; a missing one does. */
function acceptsJson(accept = "*/*"): boolean {
  return accept.split(",").some((range) => {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const refused = parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
    return ["*/*", "application/*", "application/json", ""].includes(type) && !refused;
  });
}

const isProbe = (url: string) => url === "/livez" || url === "/readyz" || url === "/metrics";

/** A server with the rules that hold for every answer: the envelope, request ids, log lines, limits. */
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
      // Refused below: Node's own answer has no body.
      requireHostHeader: false,
    },
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => {
      reply.header("x-request-id", request.id);
      sendError(error, request, reply as never);
    },
    // Parameters that are too long are the schemas' to refuse.
    routerOptions: { maxParamLength: HEADER_BYTES },
  });
  // An expectation that is not known may be ignored (RFC 9110); Node's own answer has no body.
  server.server.on("checkExpectation", (request, response) =>
    server.server.emit("request", request, response),
  );
  server.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id);
    if (request.headers.host === undefined && request.raw.httpVersion === "1.1") {
      throw new ApiError("BAD_REQUEST", { reason: "The Host header is missing." });
    }
  });
  // No body is read before a route asked for it: a path that does not exist is 404 whatever comes with it.
  server.removeAllContentTypeParsers();
  // Answers are made by us, to the letter: schemas document them and do not filter them.
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
