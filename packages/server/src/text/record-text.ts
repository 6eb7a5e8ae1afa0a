import { Fields } from "./fields.ts";
import type { TextSettings } from "./settings.ts";
import { splitText } from "./split-text.ts";
import { findTitle, titleLine } from "./title.ts";

/** A piece of a record that search finds. */
export interface Passage {
  /** The record's title, which `text` begins with; "" for none. */
  title: string;
  /**
   * What is shown and embedded: the title, the headings it stands under, the text. "" if the record has only `words`.
   */
  text: string;
  /** What lexical search finds besides: numbers, dates, URLs. Not embedded, so that a changed number costs nothing. */
  words: string;
}

/** Passages of one record; what a larger one says after them is not searched. */
const PASSAGES_PER_RECORD = 2000;

/**
 * The text of a record in passages, each with the record's title: first its fields in a line each, names before others,
 * then its long texts. Strings stand under their paths; a lone `body`, `description` or the like needs none.
 * @returns none if nothing of the record can be searched
 */
export function passagesOf(data: Record<string, unknown>, settings: TextSettings): Passage[] {
  const fields = new Fields(data, settings);
  const found = fields.namedTitle === null ? findTitle(data, settings.metadata_fields) : settings.title_field;
  const said = fields.namedTitle ?? (found === null ? "" : String(data[found]));
  const title = titleLine(said, settings.chunk_tokens);

  const words = fields.words();
  const parts = splitText(fields.sections(title.isWhole ? found : null), {
    tokens: settings.chunk_tokens,
    overlap: settings.chunk_overlap,
    title: title.text,
    maxParts: PASSAGES_PER_RECORD,
  });
  if (parts.length === 0) return title.text || words ? [{ title: title.text, text: title.text, words }] : [];
  const heading = title.text && `${title.text}\n`;
  return parts.map(({ context, text }, i) => ({
    title: title.text,
    text: heading + (context && `${context}\n`) + text,
    words: i === 0 ? words : "",
  }));
}
