import type { FieldError } from "@tidemark/protocol/errors";
import { LANGUAGES, type Language, SETTINGS_LIMITS } from "@tidemark/protocol/management";

export { LANGUAGES, type Language };

/** How a store's records become text, with the names that its settings have. */
export interface TextSettings {
  /** Dotted paths of `data` that are searched; null: all of it. */
  text_fields: string[] | null;
  /** Dotted path of the title; null: it is found by name. */
  title_field: string | null;
  /** Dotted paths of `data` that are not searched. */
  metadata_fields: string[];
  /** About how many tokens a chunk has. */
  chunk_tokens: number;
  /** Tokens that a chunk repeats of the one before. */
  chunk_overlap: number;
  language: Language;
}

/**
 * No overlap by default: chunks end where paragraphs and sentences do and carry their title and headings, and an
 * overlap embeds and stores text twice, and once more for each chunk beside an edited one.
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
 * The settings of a store as they are in force. What is absent, or not a value that could have been set, is the
 * default: a store must be searchable whatever wrote its row.
 * @param settings as kept with the store: only what was set
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

/** What is wrong with settings whose members are each right. @param named the members that the request names */
export function checkTextSettings(
  settings: Record<string, unknown>,
  named: Record<string, unknown>,
): FieldError[] {
  const { chunk_tokens = DEFAULTS.chunk_tokens, chunk_overlap = DEFAULTS.chunk_overlap } = settings;
  if (Number(chunk_overlap) * 2 < Number(chunk_tokens)) return [];
  const message = `The overlap of ${chunk_overlap} tokens must be less than half of the ${chunk_tokens} tokens of a chunk.`;
  return Object.hasOwn(named, "chunk_overlap")
    ? [{ field: "settings.chunk_overlap", code: "TOO_LARGE", message }]
    : [{ field: "settings.chunk_tokens", code: "TOO_SMALL", message }];
}

const isInteger = (value: unknown, min: number, max: number): value is number =>
  Number.isInteger(value) && Number(value) >= min && Number(value) <= max;

const isPaths = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((path) => typeof path === "string");
