import type { Build } from "../storage/index-port.ts";
import { readTextSettings, type TextSettings } from "../text/settings.ts";

/**
 * The number of the rules by which text is cut into passages and terms, and of the format of segments. Raise it with
 * every change that an index made before it does not have: each store's index is then built anew while the old one
 * serves.
 */
const RULES = 2;

/** What a build was made with. */
export interface BuildSettings {
  rules: number;
  text: TextSettings;
  embeddings: EmbeddingSettings | null;
}

export interface EmbeddingSettings {
  model: string;
  /** Null until the first vector says it. */
  dimensions: number | null;
}

export const settingsOf = ({ settings }: Pick<Build, "settings">): BuildSettings => JSON.parse(settings);

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
export function mustRebuild(has: BuildSettings, wanted: BuildSettings): boolean {
  if (!sameText(has, wanted)) return true;
  return has.embeddings === null && wanted.embeddings !== null;
}

/** Whether both make the same passages and terms of a record. */
export const sameText = (one: BuildSettings, other: BuildSettings): boolean =>
  one.rules === other.rules && JSON.stringify(one.text) === JSON.stringify(other.text);

/** Whether a vector can be compared with those of an index. */
export const fits = (vector: Float32Array, { dimensions }: EmbeddingSettings): boolean =>
  dimensions === null || vector.length === dimensions;

/** Whether vectors of one are comparable with those of the other. */
export function sameSpace(one: EmbeddingSettings | null, other: EmbeddingSettings | null): boolean {
  if (one === null || other === null || one.model !== other.model) return false;
  return one.dimensions === null || other.dimensions === null || one.dimensions === other.dimensions;
}
