import { setTimeout as pause } from "node:timers/promises";
import { ApiError, validationError } from "@tidemark/protocol/errors";
import { LIMITS } from "@tidemark/protocol/limits";
import { parseJson } from "@tidemark/protocol/parse-json";
import type { SearchMode, SearchRequest, SearchResponse, SearchResult } from "@tidemark/protocol/search";
import { getVectorStore } from "../access/vector-stores.ts";
import { type Embedder, EmbedderUnavailable, TextRefused } from "../embedding/embedder.ts";
import type { EndpointPause } from "../embedding/endpoint-pause.ts";
import { fits } from "../indexing/build-settings.ts";
import type { Build, IndexSnapshot } from "../storage/index-port.ts";
import type { Storage } from "../storage/port.ts";
import { collectRecords, type Hit } from "./collect.ts";
import { type Filter, readFilter } from "./filter.ts";
import { fuseRankings } from "./fusion.ts";
import { lexicalRetriever, semanticRetriever } from "./retrievers.ts";

/** The fewest records that each retriever of a hybrid search finds: a later record may rank high after fusion. */
const FUSED_MIN = 50;
/** Waiting entries are counted up to this number, which is enough for an answer. */
const PENDING_MAX = 10_000;
/** Pause between two looks at the index queue. */
const LOOK_PAUSE_MS = 20;

export interface SearchContext {
  storage: Storage;
  embedder: Embedder | null;
  /** Until when queries do not call the embedder. */
  pause: EndpointPause;
  now(): number;
}

/** A validated search request. */
interface Query {
  request: SearchRequest;
  namespaces: string[] | null;
  filter: Filter | null;
  limit: number;
}

/**
 * Searches a store. Records that were deleted or cleared before are never found, even if the index still has them.
 * @throws ApiError VECTOR_STORE_NOT_FOUND, VALIDATION_ERROR, RESOURCE_NOT_FOUND (no such sync), INDEX_NOT_READY,
 *   SERVICE_UNAVAILABLE (semantic mode, and the embeddings endpoint is unavailable)
 */
export async function search(
  context: SearchContext,
  organizationId: string,
  storeId: string,
  request: SearchRequest,
): Promise<SearchResponse> {
  const { storage } = context;
  const query: Query = {
    request,
    namespaces: request.namespaces ?? null,
    filter: request.filter === undefined ? null : readFilter(request.filter),
    limit: request.limit ?? LIMITS.searchResultsDefault,
  };
  await storage.read((sql) => getVectorStore(sql, organizationId, storeId));
  if (request.after_sync !== undefined)
    await waitForSync(storage, storeId, request.after_sync, request.timeout_ms);
  if (request.mode === undefined && isIdentifier(request.query)) {
    const answer = await answerQuery(storage, storeId, query, {
      mode: "lexical",
      vector: null,
      space: null,
      warnings: [],
    });
    if (answer?.data.length) return answer;
  }
  for (;;) {
    const [active, problem] = await storage.index.search(storeId, (index) =>
      Promise.all([index.activeBuild(), index.vectorProblem()]),
    );
    const method = await embedQuery(context, request, active, problem);
    const answer = await answerQuery(storage, storeId, query, { ...method, space: active?.space ?? null });
    if (answer) return answer;
  }
}

/** Whether a query is an identifier such as `CVE-2025-0282`, whose exact match is wanted rather than a similar text. */
const isIdentifier = (query: string) => /^\S*\d\S*$/.test(query.trim());

/** How a query is answered. */
interface Method {
  mode: SearchMode;
  /** The query's vector; null: none. */
  vector: Float32Array | null;
  /** The vector space of the build that the vector was made for. */
  space: number | null;
  warnings: string[];
}

/** @returns null if a build of another space took over while the query was embedded, so that its vector is useless */
function answerQuery(
  storage: Storage,
  storeId: string,
  query: Query,
  { mode, vector, space, warnings }: Method,
): Promise<SearchResponse | null> {
  return storage.index.search(storeId, async (index) => {
    const build = await index.activeBuild();
    if (vector !== null && (build?.space ?? null) !== space) return null;
    const data = build ? await findRecords(index, build, query, mode, vector) : [];
    const pending = await index.pending(null, PENDING_MAX);
    const answer: SearchResponse = { object: "search_results", mode, data, indexing: { pending } };
    if (warnings.length > 0) answer.warnings = warnings;
    return answer;
  });
}

/** Waits until a sync's records are indexed. @throws ApiError RESOURCE_NOT_FOUND, INDEX_NOT_READY after the timeout */
async function waitForSync(
  storage: Storage,
  storeId: string,
  syncId: string,
  timeoutMs: number = LIMITS.searchTimeoutMsDefault,
): Promise<void> {
  const [sync] = await storage.read((sql) =>
    sql.all("SELECT revision FROM syncs WHERE store_id = $1 AND sync_id = $2", [storeId, syncId]),
  );
  if (!sync) throw new ApiError("RESOURCE_NOT_FOUND", { after_sync: syncId });
  const until = performance.now() + timeoutMs;
  for (;;) {
    const isLate = performance.now() >= until;
    const counted = isLate ? PENDING_MAX : 1;
    const pending = await storage.index.search(storeId, (index) =>
      index.pending(Number(sync.revision), counted),
    );
    if (pending === 0) return;
    if (isLate) throw new ApiError("INDEX_NOT_READY", { after_sync: syncId, pending });
    await pause(LOOK_PAUSE_MS);
  }
}

/**
 * Decides the mode of a search, and embeds the query if the mode needs it.
 * @param problem why the database cannot compare vectors; null: it can
 */
async function embedQuery(
  context: SearchContext,
  { mode, query }: SearchRequest,
  build: Build | undefined,
  problem: string | null,
): Promise<Omit<Method, "space">> {
  const { embedder } = context;
  const model = build ? (build.settings.embeddings?.model ?? null) : (embedder?.model ?? null);
  if (mode === "lexical" || (mode === undefined && model === null))
    return { mode: "lexical", vector: null, warnings: [] };
  const reason = whyNotEmbedded(model, embedder) ?? problem;
  if (reason === null) {
    try {
      const vector = await vectorOf(context, embedder!, query);
      const embeddings = build?.settings.embeddings;
      if (embeddings && !fits(vector, embeddings)) {
        const { dimensions } = embeddings;
        throw new EmbedderUnavailable(
          `The index has vectors with ${dimensions} dimensions, and the endpoint gave one with ${vector.length}.`,
        );
      }
      return { mode: mode ?? "hybrid", vector, warnings: [] };
    } catch (error) {
      if (mode === "semantic" && error instanceof EmbedderUnavailable) {
        throw new ApiError("SERVICE_UNAVAILABLE", {}, "The embeddings endpoint is unavailable.");
      }
      const warning = `Lexical search only, because the query could not be embedded: ${(error as Error).message}`;
      return { mode: "lexical", vector: null, warnings: [warning] };
    }
  }
  if (mode === "semantic") throw validationError([{ field: "mode", code: "NOT_AVAILABLE", message: reason }]);
  return { mode: "lexical", vector: null, warnings: [`Lexical search only: ${reason}`] };
}

/** @throws EmbedderUnavailable without a request during the embedder's pause, so that searches do not wait for it */
async function vectorOf(
  { pause, now }: SearchContext,
  embedder: Embedder,
  query: string,
): Promise<Float32Array> {
  if (now() < pause.until) throw new EmbedderUnavailable(pause.reason);
  pause.asking(now());
  try {
    const [vector] = await embedder.embed([query], { purpose: "query" });
    pause.worked();
    return vector!;
  } catch (error) {
    if (error instanceof EmbedderUnavailable) pause.failed(error, now());
    else if (error instanceof TextRefused) pause.worked();
    throw error;
  }
}

function whyNotEmbedded(model: string | null, embedder: Embedder | null): string | null {
  if (model === null) return "This store has no embeddings.";
  if (embedder === null) return "This server has no embeddings endpoint.";
  if (embedder.model === model) return null;
  return `The store was embedded with ${model}, but this server's model is ${embedder.model}: rebuild the index.`;
}

async function findRecords(
  index: IndexSnapshot,
  build: Build,
  query: Query,
  mode: SearchMode,
  vector: Float32Array | null,
): Promise<SearchResult[]> {
  const { request, namespaces, filter, limit } = query;
  if (namespaces?.length === 0 || build.chunks === 0) return [];
  const withData = request.include?.includes("data") ?? false;
  const records = mode === "hybrid" ? Math.max(FUSED_MIN, 2 * limit) : limit;
  const rankings: Hit[][] = [];
  for (const retriever of mode === "hybrid" ? (["lexical", "semantic"] as const) : [mode]) {
    if (retriever === "semantic" && vector === null) continue;
    const retrieve =
      retriever === "semantic"
        ? semanticRetriever(index, build, vector!, namespaces, records)
        : await lexicalRetriever(index, build, request.query, namespaces);
    const collection = { namespaces, filter, withData, limit: records };
    rankings.push(await collectRecords(index, build, retrieve, collection));
  }
  const ranked =
    mode === "hybrid"
      ? fuseRankings(rankings).map(({ record, score }) => ({ ...record, score }))
      : (rankings[0] ?? []);
  return ranked.slice(0, limit).map((hit) => toResult(hit, request.include ?? []));
}

function toResult(hit: Hit, include: string[]): SearchResult {
  const [best] = hit.chunks;
  return {
    id: hit.id,
    namespace: hit.namespace,
    score: hit.score,
    text: best!.text,
    ...(include.includes("data") && hit.content !== null
      ? { data: (parseJson(hit.content) as { data: Record<string, unknown> }).data }
      : {}),
    ...(include.includes("chunks") ? { chunks: hit.chunks.slice(0, LIMITS.resultChunks) } : {}),
    synced_at: new Date(hit.writtenAt).toISOString(),
  };
}
