import { hash } from "node:crypto";
import type { Embedder } from "../embedding/embedder.ts";
import type { Build, RecordVersion } from "../storage/index-port.ts";
import { passagesOf } from "../text/record-text.ts";
import { analyzerFor } from "../text/tokens.ts";
import { settingsOf } from "./build-settings.ts";

/** A passage of a record, with its terms. */
export interface Draft extends RecordVersion {
  ordinal: number;
  text: string;
  terms: string[];
  /** Of the text that its vector stands for; null if the build has no vectors, or the passage no text. */
  hash: string | null;
}

/** Cuts records into passages as a build has them. */
export type Cutter = (record: RecordVersion, data: Record<string, unknown>) => Draft[];

export async function openCutter(build: Build, embedder: Embedder | null): Promise<Cutter> {
  const settings = settingsOf(build).text;
  const analyze = await analyzerFor(settings.language);
  return ({ namespace, id, version }, data) =>
    passagesOf(data, settings).map(({ title, text, words }, ordinal) => {
      // What a title says counts twice. A record is found by its id too, which may be in none of its fields.
      const searched = [title, text, ...(ordinal === 0 ? [id] : []), words].join("\n");
      // No endpoint takes an empty text: a record of numbers alone is found by its words.
      const embedded = build.space === null || text === "" ? null : textHash(embedder, text);
      return { namespace, id, version, ordinal, text, terms: analyze(searched), hash: embedded };
    });
}

/** What a vector is kept by: the same text, embedded the same way, has the same. */
const textHash = (embedder: Embedder | null, text: string) =>
  hash("sha256", `${embedder?.fingerprint ?? ""}\n${text}`, "hex");
