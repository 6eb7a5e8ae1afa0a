import { hash } from "node:crypto";
import type { Embedder } from "../embedding/embedder.ts";
import type { Build, RecordVersion, StoredPassage } from "../storage/index-port.ts";
import { passagesOf } from "../text/record-text.ts";
import { analyzerFor } from "../text/tokens.ts";
import { settingsOf } from "./build-settings.ts";

/** A passage of a record, with its terms. */
export interface Draft extends StoredPassage {
  terms: string[];
  /** Of the text that its vector stands for; null if the build has no vectors, or the passage no text. */
  hash: string | null;
}

/** Makes passages as a build has them. */
export interface Cutter {
  /** Cuts a record into its passages. */
  cut(record: RecordVersion, data: Record<string, unknown>): Draft[];
  /** Takes over a passage of another build, whose record's text is gone: all that is left of it is what was shown. */
  take(passage: StoredPassage): Draft;
}

export async function openCutter(build: Build, embedder: Embedder | null): Promise<Cutter> {
  const settings = settingsOf(build).text;
  const analyze = await analyzerFor(settings.language);
  const draft = (passage: StoredPassage, title: string, words: string): Draft => {
    const { namespace, id, version, ordinal, text } = passage;
    // What a title says counts twice. A record is found by its id too, which may be in none of its fields.
    const searched = [title, text, ...(ordinal === 0 ? [id] : []), words].join("\n");
    // No endpoint takes an empty text: a record of numbers alone is found by its words.
    const embedded = build.space === null || text === "" ? null : textHash(embedder, text);
    return { namespace, id, version, ordinal, text, terms: analyze(searched), hash: embedded };
  };
  return {
    cut: (record, data) =>
      passagesOf(data, settings).map(({ title, text, words }, ordinal) =>
        draft({ ...record, ordinal, text }, title, words),
      ),
    take: (passage) => draft(passage, "", ""),
  };
}

/** What a vector is kept by: the same text, embedded the same way, has the same. */
const textHash = (embedder: Embedder | null, text: string) =>
  hash("sha256", `${embedder?.fingerprint ?? ""}\n${text}`, "hex");
