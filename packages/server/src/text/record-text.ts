import { Fields } from "./fields.ts";
import type { TextSettings } from "./settings.ts";
import { splitText } from "./split-text.ts";
import { findTitle, titleLine } from "./title.ts";

/** A chunk of a record: a stretch of its text, which search ranks and shows. */
export interface TextChunk {
  /** The record's title, which `text` begins with; "" for none. */
  title: string;
  /** What is shown and embedded: title, headings and text; "" if the record has only `words`. */
  text: string;
  /** Numbers, dates and URLs. Only lexical search finds them: they are not embedded, so that changing one is free. */
  words: string;
}

/** The most chunks of one record; the rest of its text is not searched. */
const CHUNKS_PER_RECORD = 2000;

/**
 * The text of a record in chunks, each with the record's title: first the fields in a line each, with names before the
 * others, then the long texts. Each text is labelled with its path, except a single `body`, `description` or the like.
 * @returns no chunks if nothing of the record can be searched
 */
export function chunkRecord(data: Record<string, unknown>, settings: TextSettings): TextChunk[] {
  const fields = new Fields(data, settings);
  const titlePath =
    fields.namedTitle === null ? findTitle(data, settings.metadata_fields) : settings.title_field;
  const rawTitle = fields.namedTitle ?? (titlePath === null ? "" : String(data[titlePath]));
  const title = titleLine(rawTitle, settings.chunk_tokens);

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
