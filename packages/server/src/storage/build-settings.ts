import type { TextSettings } from "../text/settings.ts";

/** What a build was made with. */
export interface BuildSettings {
  /** The number of the rules by which text became chunks and terms. */
  rules: number;
  text: TextSettings;
  embeddings: EmbeddingSettings | null;
}

export interface EmbeddingSettings {
  model: string;
  /** Null until the first vector says it. */
  dimensions: number | null;
}

/** Reads the column `settings` of `index_builds`. */
export const readBuildSettings = (json: string): BuildSettings => JSON.parse(json);

/** Writes that column. */
export const writeBuildSettings = (settings: BuildSettings): string => JSON.stringify(settings);
