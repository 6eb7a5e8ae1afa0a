import type { Indexing } from "@tidemark/protocol/browse";
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
import { type IndexProgress, lagOf } from "./index-progress.ts";
import { describeRoute } from "./openapi.ts";
import { strictValidator } from "./strict-validator.ts";

/** How long the database may take to answer before it counts as unreachable. */
const PROBE_TIMEOUT_MS = 2000;
/** A lag that an operator should look into: a running indexer is only seconds behind. */
const LAG_DEGRADED_MS = 5 * 60_000;

const ValidateQuery = Type.Object(
  { organization_id: OrganizationId, vector_store_id: VectorStoreId },
  { additionalProperties: false },
);

/** `health` and `health/validate`, below one prefix. */
export function healthRoutes({ commands, authentication, indexProgress, now }: HttpContext) {
  return async (app: FastifyInstance) => {
    app.setValidatorCompiler(strictValidator);
    // These routes read only the query; they ignore any body.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", async () => undefined);
    app.route({
      method: "GET",
      url: "/health",
      schema: describeRoute({
        tag: "Health",
        summary: "Report the health of the service and its components",
        response: HealthResponse,
        errors: [],
        keyed: false,
      }),
      handler: async (_request, reply) => {
        const database = await probeDatabase(commands);
        const components: Component[] = [
          {
            name: "database",
            status: database.reachable ? "healthy" : "unhealthy",
            details: { response_time_ms: database.ms },
          },
          await examineIndex(indexProgress, database.reachable),
        ];
        const statuses = components.map(({ status }) => status);
        const status = WORST_FIRST.find((candidate) => statuses.includes(candidate))!;
        const response: HealthResponse = {
          status,
          components,
          version: VERSION,
          timestamp: new Date(now()).toISOString(),
        };
        return reply.code(status === "unhealthy" ? 503 : 200).send(response);
      },
    });

    app.route<{ Querystring: Static<typeof ValidateQuery> }>({
      method: ["POST", "GET"],
      url: "/health/validate",
      schema: describeRoute({
        tag: "Health",
        summary: "Check a connector's key, organization and vector store",
        querystring: ValidateQuery,
        response: ValidateResponse,
        errors: [400, 401, 422],
      }),
      onRequest: authentication.authenticate,
      handler: async (request) => {
        const { organization_id, vector_store_id } = request.query;
        const checks = await validate(commands, now(), request.identity, organization_id, vector_store_id);
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

type Component = HealthResponse["components"][number];

const WORST_FIRST: HealthStatus[] = ["unhealthy", "degraded", "healthy"];

/** Reports how far search is behind. Failed records are counted but do not degrade the service. */
async function examineIndex(indexProgress: IndexProgress, reachable: boolean): Promise<Component> {
  if (!reachable) {
    return { name: "index", status: "unhealthy", details: { reason: "the database does not answer" } };
  }
  const lag = await withTimeout(indexProgress.read());
  if (!lag) return { name: "index", status: "degraded", details: { reason: "the count took too long" } };
  const { pending, failed, lagMs } = lag;
  const status = lagMs > LAG_DEGRADED_MS ? "degraded" : "healthy";
  return { name: "index", status, details: { pending, failed, lag_seconds: Math.round(lagMs / 1000) } };
}

/** Returns whether the database answers, and how fast. */
export async function probeDatabase(commands: Commands): Promise<{ reachable: boolean; ms: number }> {
  const started = performance.now();
  const answered = await withTimeout(commands.findOrganization("org_").then(() => true));
  return { reachable: answered === true, ms: Math.round(performance.now() - started) };
}

/** Returns the answer, or undefined if it fails or takes longer than PROBE_TIMEOUT_MS. */
async function withTimeout<T>(answer: Promise<T>): Promise<T | undefined> {
  const timeout = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => timeout.resolve(undefined), PROBE_TIMEOUT_MS);
  const first = await Promise.race([answer.catch(() => undefined), timeout.promise]);
  clearTimeout(timer);
  return first;
}

/** Returns the checks of a connector's "test connection". They do not reveal whether foreign ids exist. */
async function validate(
  commands: Commands,
  now: number,
  identity: Identity,
  organizationId: string,
  storeId: string,
): Promise<ValidateChecks> {
  const pass = (message: string): Check => ({ valid: true, message });
  const fail = (error: string): Check => ({ valid: false, error });
  const ownOrganization = identity.organizationId === organizationId;
  const ownStore = ownOrganization && identity.storeId === storeId;
  const store = ownStore
    ? await commands.getVectorStore(organizationId, storeId).catch(notFoundAsUndefined)
    : undefined;
  const notAccessible = "The vector store is not accessible with this API key.";
  return {
    api_key:
      identity.role === "connector"
        ? pass("The API key is valid.")
        : fail(`The API key has the role ${identity.role}; a pipeline needs a connector key.`),
    organization: ownOrganization
      ? pass("The organization is accessible.")
      : fail("The organization is not accessible with this API key."),
    vector_store_record: store
      ? { ...pass("The vector store exists."), vector_store_name: store.name }
      : fail(notAccessible),
    vector_store: store ? pass("The vector store accepts syncs.") : fail(notAccessible),
    index: store
      ? pass(describeIndexing(await commands.indexingOf(storeId), now))
      : fail("The index was not checked, because its vector store is not accessible."),
  };
}

function notFoundAsUndefined(error: unknown): VectorStore | undefined {
  if (error instanceof ApiError && error.code === "VECTOR_STORE_NOT_FOUND") return undefined;
  throw error;
}

/** Describes how far search is behind. The check passes regardless, because syncs still work. */
function describeIndexing(indexing: Indexing, now: number): string {
  const { pending, failed } = indexing;
  const seconds = Math.round(lagOf(indexing, now) / 1000);
  const behind =
    pending === 0
      ? "Search is up to date."
      : `Search is up to ${seconds} s behind. Changes waiting for the index: ${pending}.`;
  if (failed === 0) return behind;
  return `${behind} Changes that could not be indexed: ${failed}. Ask the server's operator to retry them.`;
}
