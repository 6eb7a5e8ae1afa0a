import type { BuildSettings, EmbeddingSettings } from "../storage/build-settings.ts";
import { readTextSettings } from "../text/settings.ts";

/**
 * The version of the rules that make chunks and terms of text, and of the segment format. Raise it with every change
 * to either: each store's index is then rebuilt while the old one serves.
 */
const RULES = 2;

/**
 * The settings that a store's index should have.
 * @param storeSettings the settings that are saved with the store
 * @param embeddings the embeddings of this server; null: none are configured
 */
export function wantedSettings(
  storeSettings: Record<string, unknown>,
  embeddings: EmbeddingSettings | null,
): BuildSettings {
  return { rules: RULES, text: readTextSettings(storeSettings), embeddings };
}

/**
 * Whether a build with the target settings must replace the current one. A changed model alone does not count: a
 * rebuild embeds everything again, so only an operator starts it.
 */
export function mustRebuild(current: BuildSettings, target: BuildSettings): boolean {
  if (!sameText(current, target)) return true;
  return current.embeddings === null && target.embeddings !== null;
}

/** Whether both settings make the same chunks and terms of a record. */
export const sameText = (a: BuildSettings, b: BuildSettings): boolean =>
  a.rules === b.rules && JSON.stringify(a.text) === JSON.stringify(b.text);

/** Whether a vector has as many dimensions as the vectors of an index. */
export const fits = (vector: Float32Array, { dimensions }: EmbeddingSettings): boolean =>
  dimensions === null || vector.length === dimensions;

/** Whether the vectors of both settings can be compared with each other. */
export function sameSpace(a: EmbeddingSettings | null, b: EmbeddingSettings | null): boolean {
  if (a === null || b === null || a.model !== b.model) return false;
  return a.dimensions === null || b.dimensions === null || a.dimensions === b.dimensions;
}
