import { EmbedderUnavailable, TextRefused } from "../embedding/embedder.ts";
import type { EmbeddingSettings } from "../storage/build-settings.ts";
import type { Build, NewVector } from "../storage/index-port.ts";
import { fits } from "./build-settings.ts";
import type { PreparedChunk } from "./chunk-records.ts";
import type { PrepareContext } from "./prepare-context.ts";

/** The vector of a text; null: it has none. */
type Embedding = Float32Array | null;

interface Embedded {
  vectors: NewVector[];
  /** Versions that cannot be published now, and why; null: the endpoint is unavailable. */
  blocked: Map<number, string | null>;
  endpoint: EndpointNews | null;
}

/** Whether the endpoint for a model worked. */
export interface EndpointNews {
  model: string;
  /** Why the endpoint cannot be used now; null: it worked. */
  unavailable: string | null;
}

/**
 * Embeds the chunks whose text has no vector yet.
 * @param refused what happens to a chunk that the embedder refuses: its record fails, or the chunk has no vector
 */
export async function embedMissing(
  { storage, embedder, pause, now }: PrepareContext,
  storeId: string,
  build: Build,
  chunks: PreparedChunk[],
  refused: "fails" | "has no vector",
): Promise<Embedded> {
  const byHash = Map.groupBy(
    chunks.filter(({ hash }) => hash !== null),
    ({ hash }) => hash!,
  );
  const known = await storage.index.findVectors(storeId, build.space!, [...byHash.keys()]);
  const missing = [...byHash.keys()].filter((key) => !known.has(key));
  const blocked = new Map<number, string | null>();
  if (missing.length === 0) return { vectors: [], blocked, endpoint: null };
  const block = (key: string, reason: string | null) => {
    for (const { version } of byHash.get(key)!)
      if (blocked.get(version) == null) blocked.set(version, reason);
  };
  const settings = build.settings.embeddings!;
  const { model } = settings;
  const unused = (unavailable: string): Embedded => {
    for (const key of missing) block(key, null);
    return { vectors: [], blocked, endpoint: { model, unavailable } };
  };
  if (embedder?.model !== model)
    return unused(`The index has vectors of ${model}, and this server has no endpoint for that model.`);
  if (pause.until > now()) return unused(pause.reason);
  const texts = missing.map((key) => byHash.get(key)![0]!.text);
  let embedded: Embedding[];
  let unavailable: string | null = null;
  let refusals: ReadonlyMap<number, string> = new Map();
  try {
    embedded = await embedder.embed(texts, { purpose: "chunk" });
    if (!embedded.every((vector) => vector && fits(vector, settings))) throw misfit(embedded, settings);
    pause.worked();
  } catch (error) {
    // The vectors that arrived before the error are saved, so that no text is embedded twice.
    if (error instanceof TextRefused) {
      refusals = error.refusals;
    } else if (error instanceof EmbedderUnavailable) {
      pause.failed(error, now());
      unavailable = error.message;
    } else throw error;
    embedded = error.embedded.map((vector) => (vector && fits(vector, settings) ? vector : null));
  }
  const vectors: NewVector[] = [];
  for (const [index, key] of missing.entries()) {
    const embedding = embedded[index];
    if (embedding) vectors.push({ hash: key, embedding });
    else if (refused === "has no vector" && refusals.has(index)) {
      for (const chunk of byHash.get(key)!) chunk.hash = null;
    } else block(key, refusals.get(index) ?? null);
  }
  return { vectors, blocked, endpoint: { model, unavailable } };
}

/** The error for vectors of another length, which an embedder may suddenly return. */
function misfit(embedded: Embedding[], { model, dimensions }: EmbeddingSettings): EmbedderUnavailable {
  const misfitting = embedded.find((vector) => vector?.length !== dimensions)?.length;
  return new EmbedderUnavailable(
    `The index has vectors of ${model} with ${dimensions} dimensions, and the endpoint gives ${misfitting}.`,
    null,
    embedded,
  );
}
