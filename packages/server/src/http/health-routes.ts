import { ApiError } from "@tidemark/protocol/errors";
import {
  type Check,
  HealthResponse,
  type HealthStatus,
  type ValidateChecks,
  ValidateResponse,
} from "@tidemark/protocol/health";
import { OrganizationId, VectorStoreId } from "@tidemark/protocol/identifiers";
import type { VectorStore } from "@tidemark/protocol/management";
import type { FastifyInstance } from "fastify";
import { type Static, Type } from "typebox";
import type { Identity } from "../access/api-keys.ts";
import type { Commands } from "../commands.ts";
import { VERSION } from "../version.ts";
import type { HttpContext } from "./context.ts";
import { describeRoute } from "./openapi.ts";
import { strictValidator } from "./strict-validator.ts";

/** How long the database may take to answer before it counts as away. */
const PROBE_TIMEOUT_MS = 2000;

const ValidateQuery = Type.Object(
  { organization_id: OrganizationId, vector_store_id: VectorStoreId },
  { additionalProperties: false },
);

/** `health` and `health/validate`, below one prefix. */
export function healthRoutes({ commands, authentication, now }: HttpContext) {
  return async (app: FastifyInstance) => {
    app.setValidatorCompiler(strictValidator);
    // What is asked stands in the query; a body that comes along is let be.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", async () => undefined);
    app.route({
      method: "GET",
      url: "/health",
      schema: describeRoute({
        tag: "Health",
        summary: "Whether the service and its parts work",
        response: HealthResponse,
        errors: [],
        keyed: false,
      }),
      handler: async (_request, reply) => {
        const database = await probeDatabase(commands);
        const status: HealthStatus = database.reachable ? "healthy" : "unhealthy";
        const response: HealthResponse = {
          status,
          components: [{ name: "database", status, details: { response_time_ms: database.ms } }],
          version: VERSION,
          timestamp: new Date(now()).toISOString(),
        };
        return reply.code(database.reachable ? 200 : 503).send(response);
      },
    });

    app.route<{ Querystring: Static<typeof ValidateQuery> }>({
      method: ["POST", "GET"],
      url: "/health/validate",
      schema: describeRoute({
        tag: "Health",
        summary: "Whether a connector's key, organization and store fit together",
        querystring: ValidateQuery,
        response: ValidateResponse,
        errors: [400, 401, 422],
      }),
      onRequest: authentication.authenticate,
      handler: async (request) => {
        const { organization_id, vector_store_id } = request.query;
        const checks = await validate(commands, request.identity, organization_id, vector_store_id);
        if (Object.values(checks).some(({ valid }) => !valid)) {
          throw new ApiError("VALIDATION_FAILED", { checks });
        }
        const response: ValidateResponse = {
          status: "valid",
          checks,
          timestamp: new Date(now()).toISOString(),
        };
        return response;
      },
    });
  };
}

/** Whether the database answers, and how fast. */
export async function probeDatabase(commands: Commands): Promise<{ reachable: boolean; ms: number }> {
  const started = performance.now();
  const timeout = Promise.withResolvers<false>();
  const timer = setTimeout(() => timeout.resolve(false), PROBE_TIMEOUT_MS);
  const answered = commands.access("findOrganization", "org_").then(
    () => true,
    () => false,
  );
  const reachable = await Promise.race([answered, timeout.promise]);
  clearTimeout(timer);
  return { reachable, ms: Math.round(performance.now() - started) };
}

/** The checks of a "test connection" button. What is not the key's fails alike whether it exists or not. */
async function validate(
  commands: Commands,
  identity: Identity,
  organizationId: string,
  storeId: string,
): Promise<ValidateChecks> {
  const pass = (message: string): Check => ({ valid: true, message });
  const fail = (error: string): Check => ({ valid: false, error });
  const ownOrganization = identity.organizationId === organizationId;
  const ownStore = ownOrganization && identity.storeId === storeId;
  const store = ownStore
    ? await commands.access("getVectorStore", organizationId, storeId).catch(notFoundAsUndefined)
    : undefined;
  const notAccessible = "The vector store is not accessible with this API key.";
  return {
    api_key:
      identity.role === "connector"
        ? pass("The API key is valid.")
        : fail(`The API key has the role ${identity.role}; a pipeline needs a connector's key.`),
    organization: ownOrganization
      ? pass("The organization is accessible.")
      : fail("The organization is not accessible with this API key."),
    vector_store_record: store
      ? { ...pass("The vector store exists."), vector_store_name: store.name }
      : fail(notAccessible),
    vector_store: store ? pass("The vector store accepts syncs.") : fail(notAccessible),
    index: store
      ? pass("The index needs no set-up.")
      : fail("The index cannot be checked without its store."),
  };
}

function notFoundAsUndefined(error: unknown): VectorStore | undefined {
  if (error instanceof ApiError && error.code === "VECTOR_STORE_NOT_FOUND") return undefined;
  throw error;
}
