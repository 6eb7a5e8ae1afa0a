import type { SearchResponse } from "@tidemark/protocol/search";
import { markSpans, type Snippet, snippetOf } from "../search/snippet.ts";

/** With less room than this next to its record, a chunk goes on the line below. */
const CHUNK_COLUMNS_MIN = 40;
const GAP = "  ";
const INDENT = "    ";

export interface Display {
  query: string;
  /** The terms of a text in the store's language. */
  tokensOf: (text: string) => string[];
  /** The terminal's width. */
  columns: number;
  /** Makes a word that matches stand out. */
  mark: (word: string) => string;
}

/** Describes the results: a row for each record, and a last line with the counts. */
export function describeResults({ data, mode, indexing }: SearchResponse, display: Display): string[] {
  const cells = data.map(({ namespace, id, score }, index) => [
    String(index + 1),
    printable(namespace),
    printable(id),
    // Three significant digits suit every mode, although their scores differ in size.
    String(Number(score.toPrecision(3))),
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...cells.map((row) => widthOf(row[column]!))));
  const left = widths.reduce((sum, width) => sum + width + GAP.length, 0);
  const fitsBeside = display.columns - left >= CHUNK_COLUMNS_MIN;
  const rows = data.map(({ text }, index) => {
    const [rank, namespace, id, score] = cells[index]!.map((cell, column) => {
      const space = " ".repeat(widths[column]! - widthOf(cell));
      // Numbers are aligned to the right.
      return column === 0 || column === 3 ? space + cell : cell + space;
    });
    const head = [rank, namespace, id, score].join(GAP);
    const room = display.columns - (fitsBeside ? left : INDENT.length);
    const snippet = markSpans(fittingSnippet(text, room, display), display.mark);
    if (snippet === "") return head.trimEnd();
    return fitsBeside ? head + GAP + snippet : `${head.trimEnd()}\n${INDENT}${snippet}`;
  });
  const count = data.length === 1 ? "1 record" : `${data.length || "no"} records`;
  return [...rows, `${count}, ${mode}, ${indexing.pending} pending`];
}

/** The part of a chunk that fits in a line. */
function fittingSnippet(text: string, columns: number, { query, tokensOf }: Display): Snippet {
  // Two characters mark omitted text before and after the snippet.
  let characters = Math.max(1, columns - 2);
  for (;;) {
    const snippet = snippetOf(text, query, tokensOf, characters);
    const over = widthOf(snippet.text) - columns;
    if (over <= 0 || characters === 1) return snippet;
    // Each character may be two columns wide.
    characters = Math.max(1, characters - Math.ceil(over / 2));
  }
}

/** The text without characters that control the terminal. */
const printable = (text: string) => text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, "\ufffd");

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/gu;

/** About how many columns a terminal needs for a text. */
function widthOf(text: string): number {
  const characters = text.replaceAll(/[\p{Mn}\p{Me}\p{Cf}]/gu, "");
  return [...characters].length + (characters.match(WIDE)?.length ?? 0);
}
