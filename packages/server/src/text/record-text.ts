import { Fields } from "./fields.ts";
import type { TextSettings } from "./settings.ts";
import { splitText } from "./split-text.ts";
import { findTitle, titleLine } from "./title.ts";

/** A chunk of a record: a stretch of its text that search finds. */
export interface TextChunk {
  /** The record's title, which `text` begins with; "" for none. */
  title: string;
  /**
   * What is shown and embedded: the title, the headings it stands under, the text. "" if the record has only `words`.
   */
  text: string;
  /** What lexical search finds besides: numbers, dates, URLs. Not embedded, so that a changed number costs nothing. */
  words: string;
}

/** Chunks of one record; what a larger one says after them is not searched. */
const CHUNKS_PER_RECORD = 2000;

/**
 * The text of a record in chunks, each with the record's title: first its fields in a line each, names before others,
 * then its long texts. Strings stand under their paths; a lone `body`, `description` or the like needs none.
 * @returns none if nothing of the record can be searched
 */
export function chunkRecord(data: Record<string, unknown>, settings: TextSettings): TextChunk[] {
  const fields = new Fields(data, settings);
  const titlePath =
    fields.namedTitle === null ? findTitle(data, settings.metadata_fields) : settings.title_field;
  const said = fields.namedTitle ?? (titlePath === null ? "" : String(data[titlePath]));
  const title = titleLine(said, settings.chunk_tokens);

  const words = fields.words();
  const chunks = splitText(fields.sections(title.isWhole ? titlePath : null), {
    tokens: settings.chunk_tokens,
    overlap: settings.chunk_overlap,
    title: title.text,
    maxChunks: CHUNKS_PER_RECORD,
  });
  if (chunks.length === 0) return title.text || words ? [{ title: title.text, text: title.text, words }] : [];
  const heading = title.text && `${title.text}\n`;
  return chunks.map(({ context, text }, i) => ({
    title: title.text,
    text: heading + (context && `${context}\n`) + text,
    words: i === 0 ? words : "",
  }));
}
