import type { TestContext } from "node:test";
import type { Config } from "../../server/src/config.ts";
import {
  createTenant,
  startTestServer,
  type Tenant,
  type TestParts,
  type TestServer,
} from "../../server/test/test-server.ts";
import { everyItem, type SourceRecord, Tidemark, type TidemarkOptions, type Wait } from "../src/public.ts";

/** A store on a server in this process, and a client of its connector. */
export interface TestStore {
  server: TestServer;
  tenant: Tenant;
  tidemark: Tidemark;
  /** Every wait of the client. */
  waits: Wait[];
  /** Another client of the same connector. */
  client(options?: Partial<TidemarkOptions>): Tidemark;
  /** The data of each record of a namespace, by id. */
  contents(namespace?: string): Promise<Record<string, unknown>>;
}

/** Starts a server with a fixed clock, and a rate limit that no test reaches unless it sets one. */
export async function startStore(
  t: TestContext,
  overrides: Partial<Config> = {},
  options: Partial<TidemarkOptions> = {},
  parts: TestParts = {},
): Promise<TestStore> {
  const server = await startTestServer(t, { rateLimitPerMinute: 1_000_000, ...overrides }, parts);
  server.clock.now = Date.now();
  const tenant = await createTenant(server.commands);
  const waits: Wait[] = [];
  const client: TestStore["client"] = (more) => new Tidemark({ ...access(server.url, tenant), ...more });
  const tidemark = client({ onWait: (wait) => waits.push(wait), ...options });
  return {
    server,
    tenant,
    tidemark,
    waits,
    client,
    async contents(namespace = "tasks") {
      const found: [string, unknown][] = [];
      for await (const { id, data } of everyItem((page) => tidemark.listRecords({ namespace, ...page }))) {
        found.push([id, data]);
      }
      return Object.fromEntries(found);
    },
  };
}

/** The options of a client of a tenant's connector, with short waits before retries. */
export const access = (url: string, { key, organizationId, storeId }: Tenant): TidemarkOptions => ({
  url,
  apiKey: key,
  organizationId,
  vectorStoreId: storeId,
  retry: { baseMs: 1, maxMs: 20 },
});

/** Records `r<from>` up to, but without, `r<to>`. */
export const records = (from: number, to: number, data: Record<string, unknown> = {}): SourceRecord[] =>
  Array.from({ length: to - from }, (_, i) => ({ id: `r${from + i}`, data: { n: from + i, ...data } }));

/** Some records, and a failure instead of the rest. */
export async function* failingAfter(some: SourceRecord[], error: Error): AsyncGenerator<SourceRecord> {
  yield* some;
  throw error;
}
