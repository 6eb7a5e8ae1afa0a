import { styleText } from "node:util";
import type { SearchRequest, SearchResponse } from "@tidemark/protocol/search";
import { describeResults } from "../packages/server/src/cli/show-results.ts";
import { withoutStopWords } from "../packages/server/src/text/stop-words.ts";
import { analyzerFor } from "../packages/server/src/text/tokens.ts";
import type { DemoServer } from "./server.ts";

/** Three searches that a person might make, each with a package that must be among its results. */
const SEARCHES: { request: SearchRequest; finds: string }[] = [
  { request: { query: "read a CSV file as a stream" }, finds: "csv-parse" },
  { request: { query: "X-Forwarded-For" }, finds: "@fastify/forwarded" },
  {
    request: { query: "pool of connections", filter: { name: { $in: ["pg", "pg-pool"] } } },
    finds: "pg-pool",
  },
];
const LIMIT = 3;

/**
 * Searches the READMEs as soon as they are searchable, and prints the results.
 * @param syncId the last sync
 * @throws Error if a search does not find its package
 */
export async function printSearches(
  { url, readerKey }: DemoServer,
  store: { organization_id: string; vector_store_id: string },
  syncId: string,
): Promise<void> {
  const path = `/v1/organizations/${store.organization_id}/vector-stores/${store.vector_store_id}/search`;
  const tokensOf = await analyzerFor("english");
  const columns = Math.max(60, (process.stdout.columns || 96) - 4);
  for (const { request, finds } of SEARCHES) {
    const started = performance.now();
    const response = await fetch(url + path, {
      method: "POST",
      headers: { "X-API-Key": readerKey, "Content-Type": "application/json" },
      body: JSON.stringify({ ...request, limit: LIMIT, after_sync: syncId, timeout_ms: 60_000 }),
    });
    const answer = (await response.json()) as SearchResponse;
    if (response.status !== 200)
      throw new Error(`search answered ${response.status}: ${JSON.stringify(answer)}`);
    const ms = Math.round(performance.now() - started);
    const { query, filter } = request;
    const asked = `“${query}”${filter ? ` where ${JSON.stringify(filter)}` : ""}`;
    console.log(`\n  ${"search".padEnd(17)} ${asked.padEnd(64)} ${String(ms).padStart(5)} ms`);
    const display = {
      query: withoutStopWords(query, "english"),
      tokensOf,
      columns,
      mark: (word: string) => styleText("bold", word),
    };
    // The last row has only the number of results.
    for (const row of describeResults(answer, display).slice(0, -1)) {
      for (const line of row.split("\n")) console.log(`    ${line}`);
    }
    if (!answer.data.some(({ id }) => id === finds))
      throw new Error(`The search ${asked} must find ${finds}.`);
  }
}
