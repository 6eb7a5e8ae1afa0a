/** True for what is evidently a piece of HTML: it begins and ends with a tag, and one that is common is closed. */
export function isHtml(value: string): boolean {
  return (
    value.charCodeAt(0) === 60 &&
    value.charCodeAt(value.length - 1) === 62 &&
    /^<[a-z!]/i.test(value) &&
    /<\/(?:p|div|span|ul|ol|li|h[1-6]|table|tr|td|a|b|i|strong|em|pre|code|blockquote|body|html)\s*>/i.test(
      value,
    )
  );
}

const UNSEEN = /^(?:script|style|template|head|noscript)$/;
const BLOCK =
  /^(?:p|div|ul|ol|table|blockquote|pre|section|article|header|footer|main|aside|figure|dl|hr|body|html|h[1-6])$/;
const HEADING = /^h[1-6]$/;
const LINE = /^(?:br|tr|dt|dd|option)$/;

/**
 * The text of HTML, for search and not for display: no tags, comments, scripts or styles; blocks, lines, headings and
 * list items as Markdown has them. One pass, whatever the tags are like.
 */
export function htmlText(html: string): string {
  let text = "";
  let at = 0;
  while (at < html.length) {
    const open = html.indexOf("<", at);
    if (open === -1) break;
    text += html.slice(at, open);
    if (html.startsWith("<!--", open)) {
      at = after(html, "-->", open);
      continue;
    }
    if (!/[a-z/!?]/i.test(html.charAt(open + 1))) {
      text += "<";
      at = open + 1;
      continue;
    }
    at = after(html, ">", open);
    const [, closing, name = ""] = /^<(\/?)([a-z][a-z0-9]{0,20})/i.exec(html.slice(open, open + 24)) ?? [];
    const tag = name.toLowerCase();
    if (UNSEEN.test(tag) && closing === "") {
      const end = new RegExp(`</${tag}\\b`, "gi");
      end.lastIndex = at;
      at = end.test(html) ? after(html, ">", end.lastIndex) : html.length;
    } else text += separatorOf(tag, closing === "/");
  }
  text += html.slice(at);
  const lines = decodeEntities(text).split("\n");
  return lines
    .map((line) => line.trim())
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}

function after(html: string, what: string, from: number): number {
  const found = html.indexOf(what, from);
  return found === -1 ? html.length : found + what.length;
}

/** What a tag is in the text: nothing for those within a line. */
function separatorOf(tag: string, isClosing: boolean): string {
  if (BLOCK.test(tag) && (isClosing || !HEADING.test(tag))) return "\n\n";
  if (isClosing) return "";
  if (HEADING.test(tag)) return `\n\n${"#".repeat(Number(tag.charAt(1)))} `;
  if (LINE.test(tag)) return "\n";
  if (tag === "li") return "\n- ";
  return tag === "td" || tag === "th" ? " " : "";
}

const ENTITIES: Record<string, string> = {
  ...{ amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: " ", ndash: "–", mdash: "—", hellip: "…" },
  ...{ lsquo: "‘", rsquo: "’", ldquo: "“", rdquo: "”", laquo: "«", raquo: "»", bull: "•", middot: "·" },
  ...{ auml: "ä", ouml: "ö", uuml: "ü", Auml: "Ä", Ouml: "Ö", Uuml: "Ü", szlig: "ß", euro: "€", copy: "©" },
  ...{
    eacute: "é",
    egrave: "è",
    agrave: "à",
    ccedil: "ç",
    ntilde: "ñ",
    oacute: "ó",
    iacute: "í",
    aacute: "á",
  },
};

function decodeEntities(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,8}));/gi, (entity, decimal, hex, name) => {
    if (name !== undefined) return Object.hasOwn(ENTITIES, name) ? ENTITIES[name]! : entity;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    const isCharacter = code > 31 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return isCharacter ? String.fromCodePoint(code) : " ";
  });
}
