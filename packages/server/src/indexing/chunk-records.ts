import { hash } from "node:crypto";
import { parseJson } from "@tidemark/protocol/parse-json";
import type { Embedder } from "../embedding/embedder.ts";
import type { Build, Chunk, QueueEntry, RecordVersion } from "../storage/index-port.ts";
import { isSameRecord } from "../storage/record-key.ts";
import { chunkRecord } from "../text/record-text.ts";
import { analyzerFor } from "../text/tokens.ts";
import type { PrepareContext } from "./prepare-context.ts";

/** A batch takes no further record when it has this many chunks, so that its transaction stays short. */
const CHUNKS_PER_BATCH = 600;

/** A chunk that is about to be indexed. */
export interface PreparedChunk extends Chunk {
  /** The number of its terms. */
  terms: number;
  /** The hash of its text, which finds its vector; null if the build has no vectors or the chunk no text. */
  hash: string | null;
}

/** A batch of entries, and the chunks of their contents for each build. */
export interface ChunkedBatch {
  entries: QueueEntry[];
  /** Versions of the entries that had no content. */
  empty: number[];
  /** Entries that the batch has no room for. */
  left: QueueEntry[];
  builds: BuildChunks[];
}

/** The chunks that a batch adds to one build. */
export interface BuildChunks {
  build: Build;
  chunks: PreparedChunk[];
  /** The terms of each chunk. */
  termsOf: ReadonlyMap<PreparedChunk, string[]>;
}

/**
 * Fills a batch: chunks the entries' contents for each build until the batch has enough chunks.
 * @param old the build whose chunks replace a content that is gone; null: none do
 */
export async function chunkRecords(
  { storage, embedder }: Pick<PrepareContext, "storage" | "embedder">,
  storeId: string,
  entries: QueueEntry[],
  builds: Build[],
  old: Build | null,
): Promise<ChunkedBatch> {
  const contents = await storage.index.contents(
    storeId,
    entries.map(({ version }) => version),
  );
  const gone = old ? entries.filter(({ version }) => !contents.has(version)) : [];
  const oldChunks = gone.length > 0 ? await storage.index.chunks(storeId, old!.build, gone) : [];
  const oldByVersion = Map.groupBy(oldChunks, ({ version }) => version);
  const chunkers = await Promise.all(builds.map((build) => openChunker(build, embedder)));
  const chunks = builds.map((): PreparedChunk[] => []);
  let count = 0;
  let end = 0;
  // All versions of a record are in one batch.
  const isFull = () => count >= CHUNKS_PER_BATCH && !isSameRecord(entries[end - 1], entries[end]);
  for (; end < entries.length && !isFull(); end++) {
    const entry = entries[end]!;
    const content = contents.get(entry.version);
    const parsed = content === undefined ? null : (parseJson(content) as { data: Record<string, unknown> });
    for (const [index, { chunk, adopt }] of chunkers.entries()) {
      const made = parsed ? chunk(entry, parsed.data) : (oldByVersion.get(entry.version) ?? []).map(adopt);
      chunks[index]!.push(...made);
      count += made.length;
    }
  }
  const batch = entries.slice(0, end);
  return {
    entries: batch,
    empty: batch.flatMap(({ version }) => (contents.has(version) ? [] : [version])),
    left: entries.slice(end),
    builds: builds.map((build, index) => ({
      build,
      chunks: chunks[index]!,
      termsOf: chunkers[index]!.termsOf,
    })),
  };
}

/** Makes the chunks of records for one build. */
interface Chunker {
  chunk(record: RecordVersion, data: Record<string, unknown>): PreparedChunk[];
  /** Takes over a chunk of another build, of which only the shown text is left. */
  adopt(chunk: Chunk): PreparedChunk;
  /** The terms of each chunk that this chunker made. */
  readonly termsOf: ReadonlyMap<PreparedChunk, string[]>;
}

async function openChunker({ settings, space }: Build, embedder: Embedder | null): Promise<Chunker> {
  const analyze = await analyzerFor(settings.text.language);
  const termsOf = new Map<PreparedChunk, string[]>();
  const prepare = (chunk: Chunk, title: string, words: string): PreparedChunk => {
    const { namespace, id, version, ordinal, text } = chunk;
    // The title counts twice, because the text begins with it. The id may be in none of the record's fields.
    const terms = analyze([title, text, ...(ordinal === 0 ? [id] : []), words].join("\n"));
    // No endpoint takes an empty text; the lexical retriever finds a record of numbers alone.
    const hash = space === null || text === "" ? null : textHash(embedder, text);
    const prepared = { namespace, id, version, ordinal, text, terms: terms.length, hash };
    termsOf.set(prepared, terms);
    return prepared;
  };
  return {
    chunk: (record, data) =>
      chunkRecord(data, settings.text).map(({ title, text, words }, ordinal) =>
        prepare({ ...record, ordinal, text }, title, words),
      ),
    adopt: (chunk) => prepare(chunk, "", ""),
    termsOf,
  };
}

/** The key of a vector: equal for the same text that is embedded the same way. */
const textHash = (embedder: Embedder | null, text: string) =>
  hash("sha256", `${embedder?.fingerprint ?? ""}\n${text}`, "hex");
