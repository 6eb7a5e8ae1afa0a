import { hash } from "node:crypto";
import type { Embedder } from "../embedding/embedder.ts";
import type { Build, Chunk, RecordVersion } from "../storage/index-port.ts";
import { chunkRecord } from "../text/record-text.ts";
import { analyzerFor } from "../text/tokens.ts";

/** A chunk that is about to be indexed. */
export interface PreparedChunk extends Chunk {
  /** How many terms it has. */
  terms: number;
  /** Of the text that its vector stands for; null if the build has no vectors, or the chunk no text. */
  hash: string | null;
}

/** Makes the chunks of records as one build has them. */
export interface Chunker {
  chunk(record: RecordVersion, data: Record<string, unknown>): PreparedChunk[];
  /** Takes over a chunk of another build whose record's text is gone: only what was shown of it is left. */
  adopt(chunk: Chunk): PreparedChunk;
  /** The terms of each chunk that it made, for the segment. */
  readonly termsOf: ReadonlyMap<PreparedChunk, string[]>;
}

export async function openChunker({ settings, space }: Build, embedder: Embedder | null): Promise<Chunker> {
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
