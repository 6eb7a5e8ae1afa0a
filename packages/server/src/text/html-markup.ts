import { newToken, readTokens, type Token } from "./html-tokens.ts";

/** A string, split into texts and markup. */
export interface Markup {
  /** Texts and those tags that are markup; a tag that only looks like one is part of a text. */
  tokens: Token[];
  /** Whether any of the markup shows that the string is meant as HTML. */
  isHtml: boolean;
  /** Whether the string is lines of text with some HTML in them, such as Markdown, where white space has a meaning. */
  hasLines: boolean;
}

/** Elements that are hardly anything but HTML. */
const PLAIN_ELEMENTS = new Set(
  `b big blockquote br center div em font h1 h2 h3 h4 h5 h6 hr html i img li ol p pre s small span strike strong
  sub sup table td th tr tt u ul`.split(/\s+/),
);
/** Elements whose names XML and placeholders (`<input>`, `<title>`) have too. */
const OTHER_ELEMENTS = new Set(
  `a abbr acronym address applet area article aside audio base basefont bdi bdo blink body button canvas caption cite
  code col colgroup data datalist dd del details dfn dialog dir dl dt embed fieldset figcaption figure footer form
  frame frameset head header hgroup iframe input ins kbd label legend link main map mark marquee menu meta meter nav
  nobr noembed noframes noscript object optgroup option output param picture progress q rb rp rt rtc ruby samp script
  search section select slot source style summary tbody template textarea tfoot thead time title track var video wbr
  xmp`.split(/\s+/),
);
const VOID = /^(?:area|base|basefont|br|col|embed|frame|hr|img|input|link|meta|param|source|track|wbr)$/;
/** Elements that HTML lets authors leave open. */
const LEFT_OPEN = /^(?:p|li|dt|dd|tr|td|th|option|thead|tbody|html|body)$/;
const BREAK = /^(?:br|hr|wbr)$/;
/** Custom elements, which have a dash in their names, and the elements that Word adds. */
const CUSTOM = /^(?:[a-z][a-z0-9]*(?:-[a-z0-9]+)+|(?:o|v|w|x|st1):[a-z0-9]+)$/i;

/** Elements in which the tokenizer takes everything up to the closing tag as text. */
const RAW = "iframe|noembed|noframes|plaintext|script|style|textarea|title|xmp";
const RAW_CLOSE = new RegExp(`</(${RAW})\\b`, "gi");
/** Markdown's code blocks and code spans. Raw elements too: one that is never closed must not swallow the rest. */
const CODE = new RegExp(
  [
    "(?<=^|\\n)[ \\t]{0,3}(?<fence>`{3,}|~{3,})[^\\n]*(?:\\n[^]*?)??" +
      "(?:\\n[ \\t]{0,3}\\k<fence>[`~]*[ \\t]*(?=\\n|$)|$)",
    "(?<![`\\w])(?<ticks>`+)(?!`)[^]{1,1000}?(?<!`)\\k<ticks>(?!`)",
    `<(?<raw>${RAW})\\b`,
  ].join("|"),
  "gi",
);

/** What stands before a backtick that belongs to the value of an attribute and not to Markdown. */
const IN_ATTRIBUTE = /<[a-z][^<>]*=\s*(?:"[^"<>]*|'[^'<>]*)$/i;

/** What stands before a tag in a program: an arrow or `return` before JSX; `=`, `(`, `+` or a key before a string. */
const JSX_BEFORE = /(?:=>|(?:^|\n)[ \t]*return|\breturn[ \t]*\()\s{0,20}\(?\s{0,20}$/;
const QUOTE_BEFORE = /(?:[=(+]|["'][ \t]*:)[ \t]*["'`]$/;
const BEFORE_CHARACTERS = 100;

/** Whether a tag stands in a program, as JSX or in a string literal. */
function codeBefore(html: string, tag: number): "jsx" | "string" | null {
  let last = tag - 1;
  while (last >= 0 && html.charCodeAt(last) <= 32) last--;
  // Most tags need no closer look.
  const character = html.charAt(last);
  const isArrow = character === ">" && html.charAt(last - 1) === "=";
  if (!isArrow && !/["'`(n]/.test(character)) return null;
  const before = html.slice(Math.max(0, tag - BEFORE_CHARACTERS), tag);
  if (JSX_BEFORE.test(before)) return "jsx";
  return QUOTE_BEFORE.test(before) ? "string" : null;
}

/** A tag in which a text was cut off. */
const CUT_OFF = /^<[a-z][a-z0-9]*\s[^<]*=/i;

/** PHP and other templates. */
const TEMPLATE = /<\?(?:php|=)|<%/;

/** Finds the markup of a string. Linear in its length. */
export function readMarkup(html: string): Markup {
  const startsWithTag = /^\s*<[a-z!?]/i.test(html);
  const markup = startsWithTag ? new MarkupFinder(html, readTokens(html), true).find() : null;
  if (markup && !markup.hasLines) return markup;
  const code = findCode(html);
  if (markup && code.length === 0) return markup;
  return new MarkupFinder(html, readTokens(html, code), startsWithTag).find();
}

function findCode(html: string): { start: number; end: number }[] {
  const lastClose = new Map<string, number>();
  for (const { 1: name, index } of html.matchAll(RAW_CLOSE)) lastClose.set(name!.toLowerCase(), index);
  const regions: { start: number; end: number }[] = [];
  CODE.lastIndex = 0;
  for (let match = CODE.exec(html); match !== null; match = CODE.exec(html)) {
    const { 0: code, index } = match;
    const raw = match.groups!.raw?.toLowerCase();
    if (IN_ATTRIBUTE.test(html.slice(Math.max(0, index - BEFORE_CHARACTERS), index))) {
      CODE.lastIndex = index + 1;
      continue;
    }
    const isCode = raw === undefined ? /[<&]/.test(code) : !(lastClose.get(raw)! > index);
    if (isCode) regions.push({ start: index, end: index + code.length });
  }
  return regions;
}

/** Whether a tag is of an HTML element; `Button` and `Table` in mixed case are components of JSX. */
function isElement({ name, text }: Token): boolean {
  if (text !== name && text !== text.toUpperCase()) return false;
  return PLAIN_ELEMENTS.has(name) || OTHER_ELEMENTS.has(name);
}

/** The places of the tags that close elements of one name, in order, and which of them is next. */
interface Closes {
  places: number[];
  next: number;
  /** Elements of the name that are open, for each of which there is a tag that closes it. */
  open: number;
}

/** What the markup shows. */
interface Evidence {
  /** An element that is hardly anything but HTML. */
  html: boolean;
  /** An element whose name HTML and XML have. */
  either: boolean;
  /** An element that HTML does not have. */
  foreign: boolean;
}

/** Decides for each tag whether it is markup. */
class MarkupFinder {
  readonly #html: string;
  readonly #tokens: Token[];
  readonly #startsWithTag: boolean;
  readonly #closes = new Map<string, Closes>();
  readonly #markup: Token[] = [];
  /** How many elements are open around the current token. */
  #depth = 0;
  /** Where the outermost of them begins, and what was found before it. */
  #outermost = { token: 0, markup: 0, evidence: { html: false, either: false, foreign: false } };
  /** Whether the outermost open element has JSX in it, and whether the string has a JSX fragment, `<>…</>`. */
  #isJsx = false;
  #isFragment = false;
  #evidence: Evidence = { html: false, either: false, foreign: false };
  #leftOpen = 0;
  #hasLines = false;

  constructor(html: string, tokens: Token[], startsWithTag: boolean) {
    this.#html = html;
    this.#tokens = tokens;
    this.#startsWithTag = startsWithTag;
    for (const [place, { kind, name }] of tokens.entries()) {
      if (kind !== "close") continue;
      const closes = this.#closes.get(name);
      if (closes) closes.places.push(place);
      else this.#closes.set(name, { places: [place], next: 0, open: 0 });
    }
  }

  find(): Markup {
    const tokens = this.#tokens;
    for (let place = 0; place < tokens.length; place++) {
      const token = tokens[place]!;
      if (token.kind === "text") this.#addText(token);
      else if (token.kind === "open") place = this.#readOpen(token, place);
      else if (token.kind === "close") this.#readClose(token, place);
      else this.#readOther(token);
    }
    if (this.#isJsx && this.#depth > 0) this.#undoOutermost(tokens.length - 1);
    const { html, either, foreign } = this.#evidence;
    const isHtml = (html || (either && !foreign)) && !this.#isFragment && !TEMPLATE.test(this.#html);
    return { tokens: this.#markup, isHtml, hasLines: this.#hasLines };
  }

  #addText(token: Token): void {
    this.#markup.push(token);
    if (this.#depth === 0 && token.text.includes("\n") && token.text.trim() !== "") this.#hasLines = true;
  }

  /** Adds what only looks like markup. */
  #addSource(start: number, end: number): void {
    this.#addText(newToken("text", start, end, this.#html.slice(start, end)));
  }

  /** @returns the place of the last token that it has read */
  #readOpen(token: Token, place: number): number {
    const { name } = token;
    const closedAt = this.#nextClose(name, place);
    const before = codeBefore(this.#html, token.start);
    const isProgram = token.isCode || before !== null;
    if (!isProgram && isElement(token)) {
      this.#readElement(token, place, closedAt !== undefined);
      return place;
    }
    const isWhole = closedAt !== undefined || token.isSelfClosing;
    if (!isProgram && CUSTOM.test(name)) this.#markup.push(token);
    else if (isWhole && this.#depth > 0) {
      if (token.isCode || /^[A-Z][a-z]/.test(token.text)) this.#isJsx = true;
      else this.#evidence.foreign = true;
      this.#markup.push(token);
    } else {
      // A sample of XML or of a program stays as it is, with everything inside it.
      let last = closedAt === undefined ? place : this.#endOfSample(name, place);
      if (before === "string") last = this.#endOfLine(last);
      this.#addSource(token.start, this.#tokens[last]!.end);
      return last;
    }
    return place;
  }

  #readElement(token: Token, place: number, isClosed: boolean): void {
    const { name } = token;
    const isFirst = this.#startsWithTag && this.#markup.length === 0;
    const isPlain = PLAIN_ELEMENTS.has(name);
    let isShown = token.hasValue;
    if (VOID.test(name)) isShown ||= BREAK.test(name);
    else if (isClosed) isShown = true;
    else {
      const isGlued = /\w/.test(this.#html.charAt(token.start - 1));
      if (isGlued && token.text !== name) {
        // `List<A>` in a program.
        this.#addSource(token.start, token.end);
        return;
      }
      const isLeftOpen = LEFT_OPEN.test(name);
      // The closing tag may have been cut off in `Hello <b>Zebra`, but not in `press <b> to go back`.
      const isBeforeWord = isPlain && /[\p{L}\p{N}]/u.test(this.#html.charAt(token.end));
      isShown ||= isBeforeWord && (isLeftOpen || !isGlued);
      if (isLeftOpen) isShown ||= ++this.#leftOpen > 1 || isFirst;
    }
    if (!isShown && !isPlain && !this.#startsWithTag && this.#depth === 0) {
      this.#addSource(token.start, token.end);
      return;
    }
    if (isShown) this.#evidence[isPlain ? "html" : "either"] = true;
    if (isClosed && !VOID.test(name)) this.#enter(name, place);
    this.#markup.push(token);
  }

  #readClose(token: Token, place: number): void {
    const { name } = token;
    if (isElement(token)) {
      if (name === "br" || (LEFT_OPEN.test(name) && ++this.#leftOpen > 1)) this.#evidence.html = true;
    } else if (this.#depth === 0 && !CUSTOM.test(name)) {
      this.#addSource(token.start, token.end);
      return;
    }
    this.#markup.push(token);
    const closes = this.#closes.get(name)!;
    if (closes.open === 0) return;
    closes.open--;
    this.#depth--;
    if (this.#depth === 0 && this.#isJsx) this.#undoOutermost(place);
  }

  #readOther(token: Token): void {
    const { start, end } = token;
    const source = this.#html.slice(start, end);
    const isWhole = source.startsWith("<!--") ? source.endsWith("-->") : source.startsWith("<!");
    if (source === "</>") this.#isFragment = true;
    if (isWhole) this.#evidence.html = true;
    if (isWhole || this.#startsWithTag || CUT_OFF.test(source)) this.#markup.push(token);
    else this.#addSource(start, end);
  }

  /** The place of the next tag that closes an element of this name. */
  #nextClose(name: string, place: number): number | undefined {
    const closes = this.#closes.get(name);
    if (!closes) return undefined;
    while (closes.places[closes.next]! < place) closes.next++;
    return closes.places[closes.next];
  }

  #enter(name: string, place: number): void {
    const closes = this.#closes.get(name)!;
    if (closes.open >= closes.places.length - closes.next) return;
    if (this.#depth === 0) {
      this.#outermost = { token: place, markup: this.#markup.length, evidence: { ...this.#evidence } };
      this.#isJsx = false;
    }
    closes.open++;
    this.#depth++;
  }

  /** Turns the outermost open element into text, because it has JSX in it. @param place of its last token */
  #undoOutermost(place: number): void {
    const { token, markup, evidence } = this.#outermost;
    this.#markup.length = markup;
    this.#evidence = evidence;
    this.#isJsx = false;
    this.#addSource(this.#tokens[token]!.start, this.#tokens[place]!.end);
  }

  /** The place of the tag that closes the element, or of the last one that closes any of its name. */
  #endOfSample(name: string, place: number): number {
    const last = this.#closes.get(name)!.places.at(-1)!;
    let depth = 0;
    for (let at = place; at < last; at++) {
      const { kind, name: other, isSelfClosing } = this.#tokens[at]!;
      if (other !== name || isSelfClosing) continue;
      depth += kind === "open" ? 1 : -1;
      if (depth === 0) return at;
    }
    return last;
  }

  /** The place of the last token that begins in the line in which a token ends. */
  #endOfLine(place: number): number {
    const newline = this.#html.indexOf("\n", this.#tokens[place]!.end);
    const end = newline === -1 ? this.#html.length : newline;
    let last = place;
    while (last + 1 < this.#tokens.length && this.#tokens[last + 1]!.start < end) last++;
    return last;
  }
}
