import { textOf } from "./html-text.ts";
import { kindOf } from "./string-kind.ts";
import { countTokens, isLowSurrogate, TENTHS } from "./token-count.ts";

/** UTF-16 units of a title. */
const TITLE_CHARACTERS = 300;
/** Of a chunk's tokens, what the title may have: each chunk carries it. */
const TITLE_SHARE = 1 / 4;

/** Members that are a record's title, the likeliest first; case and underscores do not matter. */
const TITLE_NAMES = ["title", "name", "summary", "subject", "headline", "displayname", "fullname", "label"];
const TITLE_ENDING = /(?:[a-z0-9](?:Title|Name|Subject|Headline)|_(?:title|name|subject|headline))$/;

/** Where in {@link TITLE_NAMES} a member's name is; -1 if it is not. */
const titleRank = (name: string) =>
  name.length > 20 ? -1 : TITLE_NAMES.indexOf(name.toLowerCase().replaceAll("_", ""));

const endsLikeTitle = (name: string) => TITLE_ENDING.test(name.slice(-20));

/** True for names of members that say what a thing is called. */
export const isTitleName = (name: string): boolean => titleRank(name) !== -1 || endsLikeTitle(name);

/**
 * The member of a record that is its title: one that is called so, else the one whose name ends so, as `productName`
 * and `ticket_title` do. Of several of these none is taken: which would it be of `first_name` and `last_name`?
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

/** A title in one line, as much of it as chunks of so many tokens have room for. */
export function titleLine(title: string, chunkTokens: number): { text: string; isWhole: boolean } {
  const plain = textOf(title.trim());
  // In a title a heading needs no mark.
  const text = (plain === title.trim() ? plain : plain.replace(/^#+ /, "")).trim().replace(/\s+/g, " ");
  const most = chunkTokens * TENTHS * TITLE_SHARE;
  let end = Math.min(text.length, TITLE_CHARACTERS);
  while (countTokens(text, 0, end) > most) end--;
  if (end === text.length) return { text, isWhole: true };
  if (isLowSurrogate(text.charCodeAt(end))) end--;
  const space = text.lastIndexOf(" ", end);
  return { text: text.slice(0, space > 0 ? space : end), isWhole: false };
}
