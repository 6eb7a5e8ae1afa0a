import type { FieldError } from "@tidemark/protocol/errors";
import { LANGUAGES, type Language, SETTINGS_LIMITS } from "@tidemark/protocol/management";

export { LANGUAGES, type Language };

/** How a store's records become text; the members are named as in the API. */
export interface TextSettings {
  /** Dotted paths of `data` that are searched; null: all. */
  text_fields: string[] | null;
  /** Dotted path of the title; null: the title is found by its name. */
  title_field: string | null;
  /** Dotted paths of `data` that are not searched. */
  metadata_fields: string[];
  /** About how many tokens a chunk has. */
  chunk_tokens: number;
  /** Tokens that a chunk repeats from the one before. */
  chunk_overlap: number;
  language: Language;
}

/**
 * No overlap by default: chunks end with paragraphs or sentences and carry their title and headings, while an overlap
 * stores and embeds text twice and re-embeds the neighbours of each edited chunk.
 */
const DEFAULTS: TextSettings = {
  text_fields: null,
  title_field: null,
  metadata_fields: [],
  chunk_tokens: 300,
  chunk_overlap: 0,
  language: "english",
};

/**
 * The effective settings of a store. A missing or invalid value becomes the default, so that every store is searchable.
 * @param settings the settings that were set, as saved with the store
 */
export function readTextSettings(settings: Record<string, unknown>): TextSettings {
  const { text_fields, title_field, metadata_fields, chunk_tokens, chunk_overlap, language } = settings;
  const { chunkTokensMin, chunkTokensMax } = SETTINGS_LIMITS;
  const tokens = isInteger(chunk_tokens, chunkTokensMin, chunkTokensMax)
    ? chunk_tokens
    : DEFAULTS.chunk_tokens;
  return {
    text_fields: isPaths(text_fields) ? text_fields : DEFAULTS.text_fields,
    title_field: typeof title_field === "string" ? title_field : DEFAULTS.title_field,
    metadata_fields: isPaths(metadata_fields) ? metadata_fields : DEFAULTS.metadata_fields,
    chunk_tokens: tokens,
    chunk_overlap: isInteger(chunk_overlap, 0, (tokens - 1) >> 1) ? chunk_overlap : DEFAULTS.chunk_overlap,
    language: LANGUAGES.find((each) => each === language) ?? DEFAULTS.language,
  };
}

/** The errors of settings whose members are valid one by one. @param named the members in the request */
export function checkTextSettings(
  settings: Record<string, unknown>,
  named: Record<string, unknown>,
): FieldError[] {
  const { chunk_tokens = DEFAULTS.chunk_tokens, chunk_overlap = DEFAULTS.chunk_overlap } = settings;
  if (Number(chunk_overlap) * 2 < Number(chunk_tokens)) return [];
  const message = `The overlap (${chunk_overlap} tokens) must be less than half of a chunk (${chunk_tokens} tokens).`;
  return Object.hasOwn(named, "chunk_overlap")
    ? [{ field: "settings.chunk_overlap", code: "TOO_LARGE", message }]
    : [{ field: "settings.chunk_tokens", code: "TOO_SMALL", message }];
}

const isInteger = (value: unknown, min: number, max: number): value is number =>
  Number.isInteger(value) && Number(value) >= min && Number(value) <= max;

const isPaths = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((path) => typeof path === "string");
