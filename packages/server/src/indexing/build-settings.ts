import type { BuildSettings, EmbeddingSettings } from "../storage/build-settings.ts";
import { readTextSettings } from "../text/settings.ts";

/**
 * The number of the rules by which text becomes chunks and terms, and of the format of segments. Raise it with every
 * change that an index made before it does not have: each store's index is then built anew while the old one serves.
 */
const RULES = 2;

/**
 * The settings that a store's index should have.
 * @param storeSettings as the store has them
 * @param embeddings of this server; null: none are configured
 */
export function wantedSettings(
  storeSettings: Record<string, unknown>,
  embeddings: EmbeddingSettings | null,
): BuildSettings {
  return { rules: RULES, text: readTextSettings(storeSettings), embeddings };
}

/**
 * Whether a build must be replaced by one with the wanted settings. Another model is no reason: it is fixed until an
 * operator asks for a rebuild, because that embeds everything again.
 */
export function mustRebuild(current: BuildSettings, target: BuildSettings): boolean {
  if (!sameText(current, target)) return true;
  return current.embeddings === null && target.embeddings !== null;
}

/** Whether both make the same chunks and terms of a record. */
export const sameText = (a: BuildSettings, b: BuildSettings): boolean =>
  a.rules === b.rules && JSON.stringify(a.text) === JSON.stringify(b.text);

/** Whether a vector can be compared with those of an index. */
export const fits = (vector: Float32Array, { dimensions }: EmbeddingSettings): boolean =>
  dimensions === null || vector.length === dimensions;

/** Whether vectors of both can be compared with each other. */
export function sameSpace(a: EmbeddingSettings | null, b: EmbeddingSettings | null): boolean {
  if (a === null || b === null || a.model !== b.model) return false;
  return a.dimensions === null || b.dimensions === null || a.dimensions === b.dimensions;
}
