import { type Markup, readMarkup } from "./html-markup.ts";
import type { Token } from "./html-tokens.ts";

const CDATA = /^<!\[CDATA\[([\s\S]*)\]\]>$/;

/**
 * Returns what a reader sees of a string that is HTML or has some HTML tags in it. Other strings are returned as they
 * are, also those that only look like HTML, such as JSX and XML. The text is for search and not for display: no tags,
 * comments, scripts or styles; an image is its `alt`; blocks, headings and list items are written as in Markdown.
 * Linear in the length of the string.
 */
export function textOf(value: string): string {
  const html = CDATA.exec(value)?.[1] ?? value;
  if (!/<[a-z/!?]/i.test(html)) return html;
  const markup = readMarkup(html);
  return markup.isHtml ? writeText(markup) : html;
}

function writeText({ tokens, hasLines }: Markup): string {
  const writer = new TextWriter(hasLines);
  for (const token of tokens) writer.write(token);
  return writer.finish();
}

const UNSEEN = /^(?:script|style|template|head|noscript|iframe|noembed|noframes)$/;
/** Elements of a `head`. Any other element ends it, as its closing tag is optional. */
const IN_HEAD = /^(?:base|link|meta|noscript|script|style|template|title)$/;
const BLOCKS = new Set(
  `address article aside blockquote body caption center details dialog dir div dl fieldset figcaption figure footer form
  header hgroup hr html legend main menu nav ol optgroup p pre search section select summary table textarea title ul
  xmp`.split(/\s+/),
);
const LIST = /^(?:ul|ol|menu|dir)$/;
const HEADING = /^h[1-6]$/;
const LINE = /^(?:tr|dt|dd|option)$/;
const CELL = /^(?:td|th)$/;
const VERBATIM = /^(?:pre|textarea|xmp)$/;
const IMAGE = /^(?:img|area|input)$/;

/** Deeper lists are indented no further, which bounds the length of the text. */
const INDENTED_LISTS = 4;

/** A no-break space is a space of its own. */
const SPACES = /[ \t\n\r\f]+|\u00a0/g;
const NO_BREAK_SPACES = /\u00a0/g;
const WORD = /[\p{L}\p{N}]/u;

/** Writes the text of tokens; white space is held back until it is known what follows. */
class TextWriter {
  #text = "";
  /** Whether white space is kept as it is, outside `pre` too. */
  readonly #keepsSpace: boolean;
  /** White space since the last word or tag that breaks the line. */
  #space = "";
  /** Line breaks that tags ask for before the next word, and those that the white space between these tags has. */
  #breaks = 0;
  #newlines = 0;
  /** What begins the line: the mark of a list item or a heading. */
  #mark = "";
  #lists = 0;
  #verbatim = 0;
  /** The element that is not seen, and how many of its name are open. */
  #unseen = "";
  #unseenDepth = 0;
  /** Whether the text of an image ends or begins here: it must not join the word beside it. */
  #atImage = false;
  #endsWithWord = false;

  constructor(keepsSpace: boolean) {
    this.#keepsSpace = keepsSpace;
  }

  write(token: Token): void {
    if (this.#unseen !== "" && this.#staysUnseen(token)) return;
    if (token.kind === "text") this.#addText(token.text);
    else if (token.kind === "open") this.#open(token);
    else if (token.kind === "close") this.#close(token);
  }

  finish(): string {
    return this.#text;
  }

  #staysUnseen({ kind, name }: Token): boolean {
    if (this.#unseen === "head" && kind === "open" && !IN_HEAD.test(name)) {
      this.#unseen = "";
      return false;
    }
    if (name === this.#unseen) this.#unseenDepth += kind === "open" ? 1 : -1;
    if (this.#unseenDepth === 0) this.#unseen = "";
    return true;
  }

  #open({ name, alt }: Token): void {
    if (UNSEEN.test(name)) {
      this.#unseen = name;
      this.#unseenDepth = 1;
    } else if (name === "br") this.#breakLine();
    else if (IMAGE.test(name)) this.#addImage(alt);
    else if (CELL.test(name)) this.#space += " ";
    else if (HEADING.test(name)) {
      this.#break(2);
      if (!this.#mark.endsWith("# ")) this.#mark += `${"#".repeat(Number(name.charAt(1)))} `;
    } else if (name === "li") {
      this.#break(1);
      this.#mark = `${"  ".repeat(Math.min(INDENTED_LISTS, Math.max(0, this.#lists - 1)))}- `;
    } else this.#readBlock(name, 1);
  }

  #close({ name }: Token): void {
    if (name === "br") this.#breakLine();
    else if (HEADING.test(name)) {
      this.#mark = "";
      this.#break(2);
    } else if (name === "li") this.#mark = "";
    else if (CELL.test(name)) this.#space += " ";
    else this.#readBlock(name, -1);
  }

  /** @param step 1 where the element begins, -1 where it ends */
  #readBlock(name: string, step: 1 | -1): void {
    if (LINE.test(name)) this.#break(1);
    else if (BLOCKS.has(name)) {
      if (LIST.test(name) && step === -1) this.#lists = Math.max(0, this.#lists - 1);
      this.#break(LIST.test(name) && this.#lists > 0 ? 1 : 2);
      if (LIST.test(name) && step === 1) this.#lists++;
    }
    if (VERBATIM.test(name)) this.#verbatim = Math.max(0, this.#verbatim + step);
  }

  #break(lines: number): void {
    this.#foldSpace();
    this.#breaks = Math.max(this.#breaks, lines);
  }

  #breakLine(): void {
    this.#foldSpace();
    this.#breaks = Math.min(2, this.#breaks + 1);
  }

  #foldSpace(): void {
    if (this.#isSpaceKept()) this.#newlines = Math.max(this.#newlines, countNewlines(this.#space));
    this.#space = "";
  }

  #isSpaceKept(): boolean {
    return this.#keepsSpace || this.#verbatim > 0;
  }

  #addImage(alt: string): void {
    this.#atImage = true;
    this.#addText(alt.replace(SPACES, " ").trim());
    this.#atImage = true;
  }

  #addText(text: string): void {
    let start = 0;
    let end = text.length;
    while (start < end && isSpace(text.charCodeAt(start))) start++;
    while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
    this.#space += text.slice(0, start);
    if (start === end) return;
    const words = text.slice(start, end).replace(this.#isSpaceKept() ? NO_BREAK_SPACES : SPACES, " ");
    this.#writeSpace(words);
    this.#text += words;
    this.#endsWithWord = WORD.test(words.slice(-1));
    this.#space = text.slice(end);
  }

  /** Writes what is due before the next words. */
  #writeSpace(words: string): void {
    const space = this.#space;
    const isKept = this.#isSpaceKept();
    const isLineStart = this.#text === "" || this.#breaks > 0;
    if (isLineStart) {
      const newlines = isKept ? Math.max(this.#newlines, countNewlines(space)) : 0;
      if (this.#text !== "") this.#text += "\n".repeat(Math.max(this.#breaks, newlines));
      const newline = space.lastIndexOf("\n");
      const isIndented = this.#verbatim > 0 || (isKept && newline !== -1);
      if (isIndented && this.#mark === "")
        this.#text += space.slice(newline + 1).replace(NO_BREAK_SPACES, " ");
      this.#text += this.#mark;
    } else if (space !== "") this.#text += space.replace(isKept ? NO_BREAK_SPACES : SPACES, " ");
    else if (this.#atImage && this.#endsWithWord && WORD.test(words.slice(0, 1))) this.#text += " ";
    this.#breaks = 0;
    this.#newlines = 0;
    this.#mark = "";
    this.#atImage = false;
  }
}

/** At most two: an empty line. */
function countNewlines(space: string): number {
  const first = space.indexOf("\n");
  if (first === -1) return 0;
  return space.includes("\n", first + 1) ? 2 : 1;
}

const isSpace = (unit: number) => unit === 32 || (unit >= 9 && unit <= 13) || unit === 0xa0;
