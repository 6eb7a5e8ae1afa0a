import { textOf } from "./html-text.ts";
import { kindOf } from "./string-kind.ts";
import { countTokens, isLowSurrogate, TENTHS } from "./token-count.ts";

/** The longest title, in UTF-16 units. */
const TITLE_CHARACTERS = 300;
/** The share of a chunk's tokens that the title may take, because each chunk has it. */
const TITLE_SHARE = 1 / 4;

/** Members that may be a record's title, the likeliest first; case and underscores are ignored. */
const TITLE_NAMES = ["title", "name", "summary", "subject", "headline", "displayname", "fullname", "label"];
const TITLE_ENDING = /(?:[a-z0-9](?:Title|Name|Subject|Headline)|_(?:title|name|subject|headline))$/;

/** The index of a member's name in {@link TITLE_NAMES}; -1 if it is not there. */
const titleRank = (name: string) =>
  name.length > 20 ? -1 : TITLE_NAMES.indexOf(name.toLowerCase().replaceAll("_", ""));

const endsLikeTitle = (name: string) => TITLE_ENDING.test(name.slice(-20));

/** Whether a member of this name says what a thing is called. */
export const isTitleName = (name: string): boolean => titleRank(name) !== -1 || endsLikeTitle(name);

/**
 * The member that is a record's title: one with a title's name, else the only one whose name ends like a title's, such
 * as `productName` or `ticket_title`. Several of the latter, such as `first_name` and `last_name`, leave no title.
 * @param leftOut members that are not searched
 */
export function findTitle(data: Record<string, unknown>, leftOut: string[]): string | null {
  let title: string | null = null;
  let titleAt = TITLE_NAMES.length;
  const others: string[] = [];
  for (const name of Object.keys(data)) {
    if (!isTitleName(name)) continue;
    const value = data[name];
    if (typeof value !== "string" || value.length > TITLE_CHARACTERS || leftOut.includes(name)) continue;
    if (kindOf(value.trim()) !== "text") continue;
    const rank = titleRank(name);
    if (rank === -1) others.push(name);
    else if (rank < titleAt) {
      title = name;
      titleAt = rank;
    }
  }
  return title ?? (others.length === 1 ? others[0]! : null);
}

/** A title in one line, cut to its share of a chunk's tokens. */
export function titleLine(title: string, chunkTokens: number): { text: string; isWhole: boolean } {
  const plain = textOf(title.trim());
  // A title that is an HTML heading loses the Markdown mark.
  const text = (plain === title.trim() ? plain : plain.replace(/^#+ /, "")).trim().replace(/\s+/g, " ");
  const tenthsMax = chunkTokens * TENTHS * TITLE_SHARE;
  let end = Math.min(text.length, TITLE_CHARACTERS);
  while (countTokens(text, 0, end) > tenthsMax) end--;
  if (end === text.length) return { text, isWhole: true };
  if (isLowSurrogate(text.charCodeAt(end))) end--;
  const space = text.lastIndexOf(" ", end);
  return { text: text.slice(0, space > 0 ? space : end), isWhole: false };
}
