import type { TestContext } from "node:test";
import type { Config } from "../../src/config.ts";
import {
  type Answer,
  createTenant,
  startTestServer,
  syncBody,
  type Tenant,
  type TestParts,
  type TestServer,
} from "../test-server.ts";

export const SYNC = "/v1/pipeline/sync";
export const CHECK_EXISTS = "/v1/pipeline/check-exists";

/** A server with one tenant, and functions that call it as the tenant's pipeline. */
export interface Pipeline {
  server: TestServer;
  tenant: Tenant;
  /** The tenant's key and the content type JSON. */
  headers: Record<string, string>;
  /** Sends the tenant's sync with these fields. */
  sync(fields: Record<string, unknown>, headers?: Record<string, string>): Promise<Answer>;
  /** Sends the tenant's check-exists with these fields. */
  checkExists(fields: Record<string, unknown>, headers?: Record<string, string>): Promise<Answer>;
  /** Sends this exact sync body. */
  send(body: string | Uint8Array, headers?: Record<string, string>): Promise<Answer>;
  /** Returns the ids that exist. */
  existing(namespace: string, ids: string[]): Promise<string[]>;
  /** Returns the store's revision and records, which a rejected request must not change. */
  state(): Promise<unknown>;
}

export const upsert = (id: string, fields: Record<string, unknown> = {}) => ({
  action: "upsert",
  id,
  namespace: "tasks",
  ...fields,
});

/** Starts a server with rate limits that a test cannot reach unless it sets them. */
export async function startPipeline(
  t: TestContext,
  overrides: Partial<Config> = {},
  parts: TestParts = {},
): Promise<Pipeline> {
  const server = await startTestServer(
    t,
    { rateLimitPerMinute: 1_000_000, failedAuthPerMinute: 1_000_000, ...overrides },
    parts,
  );
  const tenant = await createTenant(server.commands);
  const key = { "x-api-key": tenant.key };
  const ids = { organization_id: tenant.organizationId, vector_store_id: tenant.storeId };
  const pipeline: Pipeline = {
    server,
    tenant,
    headers: { ...key, "content-type": "application/json" },
    sync: (fields, headers) => server.post(SYNC, syncBody(tenant, fields), { ...key, ...headers }),
    checkExists: (fields, headers) =>
      server.post(CHECK_EXISTS, { ...ids, namespace: "tasks", ids: [], ...fields }, { ...key, ...headers }),
    send: (body, headers) => server.post(SYNC, body, { ...key, ...headers }),
    existing: async (namespace, ids) =>
      (await pipeline.checkExists({ namespace, ids })).body.existing_ids as string[],
    state: () =>
      server.storage.read(async (sql) => ({
        revision: await sql.all("SELECT revision FROM store_revisions WHERE store_id = $1", [tenant.storeId]),
        records: await sql.all(
          "SELECT namespace, id, generation, hash FROM records WHERE store_id = $1 ORDER BY namespace, id, generation",
          [tenant.storeId],
        ),
      })),
  };
  return pipeline;
}
