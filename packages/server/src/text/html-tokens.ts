import { QuoteType, Tokenizer } from "htmlparser2";

/** A stretch of HTML. The tokens of a text follow each other without gaps. */
export interface Token {
  /** `other` is what a browser ignores: `</>`, or a tag at the end that is cut off. */
  kind: "text" | "open" | "close" | "comment" | "other";
  start: number;
  end: number;
  /** Of a text its characters, with entities decoded; of a tag its name as it is written. */
  text: string;
  /** Of a tag its name in small letters; otherwise "". */
  name: string;
  /** The text of an image: what `alt` says. */
  alt: string;
  /** Whether an attribute has a value. */
  hasValue: boolean;
  /** Whether an attribute shows that this is an expression or JSX: `a <b && c> d`, `<Button onClick={save}>`. */
  isCode: boolean;
  isSelfClosing: boolean;
}

export const newToken = (kind: Token["kind"], start: number, end: number, text: string): Token => {
  const name = kind === "open" || kind === "close" ? text.toLowerCase() : "";
  return { kind, start, end, text, name, alt: "", hasValue: false, isCode: false, isSelfClosing: false };
};

const CODE_ATTRIBUTE = /[&|{};]|^className$|^htmlFor$/;

/** `&copy` in `?a=1&copy=2` is the name of a parameter. */
const PARAMETER = /[a-z0-9_]{0,30}=/iy;

/**
 * Splits HTML into tokens, in time linear in its length even for hostile input. It does not use htmlparser2's `Parser`,
 * whose stack of open elements makes deep nesting quadratic.
 * @param code stretches that are taken as text, as they are; ascending
 */
export function readTokens(html: string, code: readonly { start: number; end: number }[] = []): Token[] {
  const reader = new TokenReader(html);
  let start = 0;
  for (const region of code) {
    reader.readHtml(start, region.start);
    reader.addText(html.slice(region.start, region.end), region.end);
    start = region.end;
  }
  reader.readHtml(start, html.length);
  return reader.tokens;
}

/** Takes the calls of htmlparser2's tokenizer, whose offsets count from the start of the stretch that is being read. */
class TokenReader {
  readonly tokens: Token[] = [];
  readonly #html: string;
  readonly #tokenizer = new Tokenizer({}, this);
  /** Where the stretch begins. */
  #base = 0;
  /** Where the last token ended. */
  #end = 0;
  #open: Token | null = null;
  #attribute = "";
  #value = "";

  constructor(html: string) {
    this.#html = html;
  }

  readHtml(start: number, end: number): void {
    this.#base = start;
    this.#tokenizer.reset();
    this.#tokenizer.write(this.#html.slice(start, end));
    this.#tokenizer.end();
    this.#open = null;
    this.#value = "";
    this.#skipTo(end);
  }

  addText(text: string, end: number): void {
    const last = this.tokens.at(-1);
    if (last?.kind === "text") {
      last.text += text;
      last.end = this.#end = end;
    } else this.#add("text", text, end);
  }

  ontext(start: number, end: number): void {
    this.#skipTo(this.#base + start);
    this.addText(this.#html.slice(this.#base + start, this.#base + end), this.#base + end);
  }

  ontextentity(codePoint: number, end: number): void {
    const at = this.#base + end;
    PARAMETER.lastIndex = at;
    // The second half of an entity that stands for two characters ends where the first one did.
    const source = this.#html.slice(this.#end, at);
    const isParameter = !source.endsWith(";") && source !== "" && PARAMETER.test(this.#html);
    this.addText(isParameter ? source : characterOf(codePoint), at);
  }

  onopentagname(start: number, end: number): void {
    this.#skipTo(this.#base + start - 1);
    const at = this.#base + end;
    this.#open = this.#token("open", this.#html.slice(this.#base + start, at), at);
  }

  onattribname(start: number, end: number): void {
    this.#attribute = this.#html.slice(this.#base + start, this.#base + end);
    if (this.#open && CODE_ATTRIBUTE.test(this.#attribute)) this.#open.isCode = true;
  }

  onattribdata(start: number, end: number): void {
    this.#value += this.#html.slice(this.#base + start, this.#base + end);
  }

  onattribentity(codePoint: number): void {
    this.#value += characterOf(codePoint);
  }

  onattribend(quote: QuoteType): void {
    if (this.#open) {
      if (quote !== QuoteType.NoValue) this.#open.hasValue = true;
      if (quote === QuoteType.Unquoted && this.#value.startsWith("{")) this.#open.isCode = true;
      if (this.#attribute.toLowerCase() === "alt") this.#open.alt = this.#value;
    }
    this.#value = "";
  }

  onopentagend(end: number): void {
    if (this.#open) {
      this.#open.end = this.#base + end + 1;
      this.#push(this.#open);
    }
    this.#open = null;
  }

  onselfclosingtag(end: number): void {
    if (this.#open) this.#open.isSelfClosing = true;
    this.onopentagend(end);
  }

  onclosetag(start: number, end: number): void {
    this.#skipTo(this.#base + start - 2);
    const name = this.#html.slice(this.#base + start, this.#base + end);
    const close = this.#html.indexOf(">", this.#base + end);
    this.#add("close", name, close === -1 ? this.#html.length : close + 1);
  }

  oncomment(_start: number, end: number): void {
    this.#add("comment", "", Math.min(this.#base + end + 1, this.#html.length));
  }

  ondeclaration(start: number, end: number): void {
    this.oncomment(start, end);
  }

  oncdata(start: number, end: number, endOffset: number): void {
    const text = this.#html.slice(this.#base + start, this.#base + end - endOffset);
    // The markup around the text is a token of its own: a reader sees the text only.
    this.#add("comment", "", this.#base + end + 1);
    this.addText(text, this.#end);
  }

  onprocessinginstruction(): void {}

  onend(): void {}

  #skipTo(end: number): void {
    if (this.#end < end) this.#add("other", "", end);
  }

  #add(kind: Token["kind"], text: string, end: number): void {
    this.#push(this.#token(kind, text, end));
  }

  #token(kind: Token["kind"], text: string, end: number): Token {
    return newToken(kind, this.#end, end, text);
  }

  #push(token: Token): void {
    this.tokens.push(token);
    this.#end = token.end;
  }
}

/** A control character becomes a space, because nobody sees it and it must not join the words around it. */
const characterOf = (codePoint: number): string =>
  codePoint === 0xfffd || /[^\P{Cc}\t\n\r]/u.test(String.fromCodePoint(codePoint))
    ? "\u00a0"
    : String.fromCodePoint(codePoint);
