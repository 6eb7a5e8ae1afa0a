import type { TextSettings } from "../text/settings.ts";

/** The settings that a build was made with. */
export interface BuildSettings {
  /** The version of the rules that turn text into chunks and terms. */
  rules: number;
  text: TextSettings;
  embeddings: EmbeddingSettings | null;
}

export interface EmbeddingSettings {
  model: string;
  /** Null until the first vector is known. */
  dimensions: number | null;
}

/** Reads the column `settings` of `index_builds`. */
export const readBuildSettings = (json: string): BuildSettings => JSON.parse(json);

/** Writes the column `settings` of `index_builds`. */
export const writeBuildSettings = (settings: BuildSettings): string => JSON.stringify(settings);
