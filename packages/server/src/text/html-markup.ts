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
const BEFORE_CHARACTERS = 100;

/** Text in which each tag is replaced by a space and `<`: JSX, a tag in a string literal, PHP, another template. */
const PROGRAM =
  /(?:=>|\breturn)\s{0,20}\(?\s{0,20} <|(?:[=(+]|["'][ \t]{0,20}:)[ \t]{0,20}["'`] <|<\?(?:php|=)|<%/;
/** A tag in which a text was cut off. */
const CUT_OFF = /^<[a-z][a-z0-9]*\s[^<]*=/i;
const WORD = /[\p{L}\p{N}]/u;

/** Finds the markup of a string. Linear in its length. */
export function readMarkup(html: string): Markup {
  const startsWithTag = /^\s*<[a-z!?]/i.test(html);
  const markup = startsWithTag ? findMarkup(html, readTokens(html), true) : null;
  if (markup && !markup.hasLines) return markup;
  const code = findCode(html);
  return markup && code.length === 0 ? markup : findMarkup(html, readTokens(html, code), startsWithTag);
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
const isElement = ({ name, text, isCode }: Token): boolean =>
  !isCode &&
  (text === name || text === text.toUpperCase()) &&
  (PLAIN_ELEMENTS.has(name) || OTHER_ELEMENTS.has(name));

/** Decides for each tag whether it is markup, and whether the string is HTML. */
function findMarkup(html: string, tokens: Token[], startsWithTag: boolean): Markup {
  const lastClose = new Map<string, number>();
  for (const [place, { kind, name }] of tokens.entries()) if (kind === "close") lastClose.set(name, place);
  const evidence = { plain: false, either: false, foreign: false, program: false };
  const markup: Token[] = [];
  const firstTag = startsWithTag ? tokens.findIndex(({ kind }) => kind !== "text") : -1;
  let hasLines = false;
  let depth = 0;
  let outline = "";
  const addText = (token: Token) => {
    markup.push(token);
    outline += html.slice(token.start, token.end);
    if (depth === 0 && token.text.includes("\n") && token.text.trim() !== "") hasLines = true;
  };
  const addSource = ({ start, end }: Token) => addText(newToken("text", start, end, html.slice(start, end)));
  const addTag = (token: Token) => {
    markup.push(token);
    outline += " <";
  };

  for (const [place, token] of tokens.entries()) {
    const { kind, name } = token;
    const isClosed = kind === "open" && lastClose.get(name)! > place;
    if (kind === "text") addText(token);
    else if (kind === "comment" || kind === "other") {
      const source = html.slice(token.start, token.end);
      const isWhole = source.startsWith("<!--") ? source.endsWith("-->") : source.startsWith("<!");
      if (source === "</>" || source.startsWith("<?")) evidence.program = true;
      if (isWhole) evidence.plain = true;
      if (isWhole || startsWithTag || CUT_OFF.test(source)) addTag(token);
      else addSource(token);
    } else if (isElement(token)) {
      const isPlain = PLAIN_ELEMENTS.has(name);
      const shows = kind === "close" ? name === "br" : isClosed || showsAlone(html, token);
      const isGlued = kind === "open" && WORD.test(html.charAt(token.start - 1));
      const isUsed = shows || kind === "close" || startsWithTag || depth > 0;
      // `List<A>` and `vector<a>` are of a program.
      if (!isUsed && (!isPlain || isGlued)) {
        addSource(token);
        continue;
      }
      if (shows) evidence[isPlain ? "plain" : "either"] = true;
      if (isClosed && !VOID.test(name)) depth++;
      if (kind === "close" && depth > 0) depth--;
      addTag(token);
    } else if (CUSTOM.test(name)) addTag(token);
    else {
      // JSX and samples of XML stay as they are.
      const isWhole = isClosed || token.isSelfClosing;
      if (isWhole && (token.isCode || /^[A-Z][a-z]/.test(token.text))) evidence.program = true;
      else if (isWhole) evidence.foreign = true;
      if (isWhole && place === firstTag) evidence.program = true;
      if (depth > 0 && (isWhole || kind === "close")) addTag(token);
      else addSource(token);
    }
  }
  const { plain, either, foreign, program } = evidence;
  const isHtml = (plain || (either && !foreign)) && !program && !PROGRAM.test(outline);
  return { tokens: markup, isHtml, hasLines };
}

/** Whether a tag that is never closed shows that the string is HTML. */
function showsAlone(html: string, { name, start, end, hasValue }: Token): boolean {
  if (VOID.test(name)) return hasValue || BREAK.test(name);
  // The closing tag may have been cut off in `Hello <b>Zebra`, but not in `press <b> to go back`.
  const isGlued = /\w/.test(html.charAt(start - 1));
  const isBeforeWord = PLAIN_ELEMENTS.has(name) && WORD.test(html.charAt(end));
  return hasValue || (isBeforeWord && (LEFT_OPEN.test(name) || !isGlued));
}
