import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { type Config, readConfig } from "../../src/config.ts";
import { type Embedder, EmbedderUnavailable, TextRefused } from "../../src/embedding/embedder.ts";
import { openEmbedder } from "../../src/embedding/endpoint-embedder.ts";
import { type EmbeddingsServer, startEmbeddingsServer } from "../embeddings-server.ts";

/** An embeddings server and an embedder that uses it. */
export async function startEmbedder(
  t: TestContext,
  settings: Partial<Config> = {},
  dimensions = 64,
): Promise<{ server: EmbeddingsServer; embedder: Embedder }> {
  const server = await startEmbeddingsServer(t, { dimensions });
  return { server, embedder: embedderFor({ embeddingsUrl: server.url, ...settings }) };
}

export function embedderFor(settings: Partial<Config>): Embedder {
  return openEmbedder(readConfig({}, { embeddingsModel: "test-model", ...settings }))!;
}

export const embedChunks = (embedder: Embedder, texts: string[], signal?: AbortSignal) =>
  embedder.embed(texts, { purpose: "chunk", ...(signal && { signal }) });

/** `count` different texts. */
export const numbered = (count: number) => Array.from({ length: count }, (_, i) => `text number ${i}`);

/** The error of work that fails because the embedder is unavailable. */
export const unavailable = (work: Promise<unknown>) => failureOf(work, EmbedderUnavailable);

/** The error of work that fails because a text is refused. */
export const refused = (work: Promise<unknown>) => failureOf(work, TextRefused);

async function failureOf<T extends Error>(
  work: Promise<unknown>,
  kind: new (...args: never[]) => T,
): Promise<T> {
  const error = await work.then(
    () => assert.fail("The texts were embedded."),
    (error) => error,
  );
  assert.ok(error instanceof kind, String(error?.stack));
  return error;
}

/** The indexes of the texts that have no vector. */
export const missing = (embedded: readonly (Float32Array | null)[]) =>
  embedded.flatMap((vector, index) => (vector === null ? [index] : []));
