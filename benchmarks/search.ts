import { startEmbeddingsServer } from "../packages/server/test/embeddings-server.ts";
import type { BenchmarkEngine } from "./engines.ts";
import { ServerProcess } from "./server-process.ts";
import { type Measurement, ms, quantile } from "./statistics.ts";
import { makeTexts, WordSource } from "./texts.ts";

const SIZES = [10_000, 100_000];
const BATCH = 5000;
const QUERIES = 200;
const DIMENSIONS = 384;

/** Lexical and hybrid search over HTTP in 10,000 and 100,000 chunks. */
export async function measureSearch(engine: BenchmarkEngine): Promise<Measurement[]> {
  const ends: (() => unknown)[] = [];
  const embeddings = await startEmbeddingsServer({ after: (end: () => unknown) => ends.push(end) } as never, {
    dimensions: DIMENSIONS,
  });
  const settings = engine.embeds
    ? { TIDEMARK_EMBEDDINGS_URL: embeddings.url, TIDEMARK_EMBEDDINGS_MODEL: "benchmark" }
    : {};
  const measurements: Measurement[] = [];
  const server = new ServerProcess(await engine.createDatabase());
  await server.start(settings);
  await server.createTenant();
  let records = 0;
  for (const size of SIZES) {
    for (; records < size; records += BATCH) {
      // One record in a hundred goes to a separate namespace.
      const texts = makeTexts(records, BATCH);
      await server.post(
        "sync",
        server.syncBody(
          "few",
          texts.filter((_, index) => index % 100 === 0),
        ),
      );
      await server.post(
        "sync",
        server.syncBody(
          "many",
          texts.filter((_, index) => index % 100 !== 0),
        ),
      );
    }
    await server.untilIndexed();
    if (engine.embeds) await engine.vectorsIndexed(server.databaseUrl, size);
    const kinds: [string, Record<string, unknown>, number][] = [
      ["lexical", { mode: "lexical" }, engine.lexicalBudgetMs],
      ["lexical, in 1 % of the records", { mode: "lexical", namespaces: ["few"] }, engine.lexicalBudgetMs],
      ["lexical, filtered to 20 %", { mode: "lexical", filter: { priority: 3 } }, engine.lexicalBudgetMs],
      ...(engine.embeds
        ? ([
            ["hybrid", { mode: "hybrid" }, 60],
            ["hybrid, in 1 % of the records", { mode: "hybrid", namespaces: ["few"] }, 60],
          ] as [string, Record<string, unknown>, number][])
        : []),
    ];
    for (const [kind, request, budget] of kinds) {
      const times = await timeQueries(server, request);
      const median = quantile(times, 0.5);
      measurements.push({
        what: `search of ${size.toLocaleString("en")} chunks, ${kind}`,
        measured: `p50 ${ms(median)}`,
        comparedWith: `p99 ${ms(quantile(times, 0.99))}`,
        ratio: "",
        budget: `p50 < ${budget} ms`,
        kept: median < budget,
      });
    }
  }
  await server.end();
  for (const end of ends) await end();
  return measurements;
}

/** Times queries of two to five words that are as frequent as in the texts; the first few are not counted. */
async function timeQueries(server: ServerProcess, request: Record<string, unknown>): Promise<number[]> {
  const words = new WordSource(-1);
  const times: number[] = [];
  for (let i = -20; i < QUERIES; i++) {
    const query = Array.from({ length: 2 + (Math.abs(i) % 4) }, () => words.next()).join(" ");
    const { ms } = await server.search({ query, ...request });
    if (i >= 0) times.push(ms);
  }
  return times;
}
