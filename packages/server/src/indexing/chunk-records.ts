import { hash } from "node:crypto";
import { parseJson } from "@tidemark/protocol/parse-json";
import type { Embedder } from "../embedding/embedder.ts";
import type { Build, Chunk, QueueEntry, RecordVersion } from "../storage/index-port.ts";
import { isSameRecord } from "../storage/record-key.ts";
import { chunkRecord } from "../text/record-text.ts";
import { analyzerFor } from "../text/tokens.ts";
import type { PrepareContext } from "./prepare-context.ts";

/** A batch is closed when it has so many chunks, so that its transaction stays short. */
const CHUNKS_PER_BATCH = 600;

/** A chunk that is about to be indexed. */
export interface PreparedChunk extends Chunk {
  /** How many terms it has. */
  terms: number;
  /** Of the text that its vector stands for; null if the build has no vectors, or the chunk no text. */
  hash: string | null;
}

/** A batch of entries, and the chunks that each build has of their contents. */
export interface ChunkedBatch {
  entries: QueueEntry[];
  /** Versions among the entries that had no content. */
  empty: number[];
  /** Entries that the batch has no room for. */
  left: QueueEntry[];
  builds: BuildChunks[];
}

/** The chunks that a batch adds to one build. */
export interface BuildChunks {
  build: Build;
  chunks: PreparedChunk[];
  /** The terms of each of the chunks. */
  termsOf: ReadonlyMap<PreparedChunk, string[]>;
}

/**
 * Fills a batch: makes the chunks of the entries' contents for each build, until there are enough of them.
 * @param old the build whose chunks are taken over where a content is gone; null: they are not
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
  // A record's versions stay together.
  const isFull = () => count >= CHUNKS_PER_BATCH && !isSameRecord(entries[end - 1], entries[end]);
  for (; end < entries.length && !isFull(); end++) {
    const entry = entries[end]!;
    const content = contents.get(entry.version);
    const read = content === undefined ? null : (parseJson(content) as { data: Record<string, unknown> });
    for (const [index, { chunk, adopt }] of chunkers.entries()) {
      const made = read ? chunk(entry, read.data) : (oldByVersion.get(entry.version) ?? []).map(adopt);
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

/** Makes the chunks of records as one build has them. */
interface Chunker {
  chunk(record: RecordVersion, data: Record<string, unknown>): PreparedChunk[];
  /** Takes over a chunk of another build whose record's text is gone: only what was shown of it is left. */
  adopt(chunk: Chunk): PreparedChunk;
  /** The terms of each chunk that it made, for the segment. */
  readonly termsOf: ReadonlyMap<PreparedChunk, string[]>;
}

async function openChunker({ settings, space }: Build, embedder: Embedder | null): Promise<Chunker> {
  const analyze = await analyzerFor(settings.text.language);
  const termsOf = new Map<PreparedChunk, string[]>();
  const prepare = (chunk: Chunk, title: string, words: string): PreparedChunk => {
    const { namespace, id, version, ordinal, text } = chunk;
    // What a title says counts twice. A record is found by its id too, which may be in none of its fields.
    const terms = analyze([title, text, ...(ordinal === 0 ? [id] : []), words].join("\n"));
    // No endpoint takes an empty text: a record of numbers alone is found by its words.
    const embedded = space === null || text === "" ? null : textHash(embedder, text);
    const prepared = { namespace, id, version, ordinal, text, terms: terms.length, hash: embedded };
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

/** What a vector is kept by: the same text, embedded the same way, has the same. */
const textHash = (embedder: Embedder | null, text: string) =>
  hash("sha256", `${embedder?.fingerprint ?? ""}\n${text}`, "hex");
