import { hash } from "node:crypto";
import { canonicalJson } from "@tidemark/protocol/canonical-json";
import { InexactNumber } from "@tidemark/protocol/exact-json";
import { hasAtMost, isName } from "@tidemark/protocol/keepable-text";
import { LIMITS } from "@tidemark/protocol/limits";

/** Fields of a record, each with the path to it. */
export type Key = string[][];

const HASHED = "sha256:";
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * The id that a primary key's values make. No two keys make the same:
 *
 * - a single text or number is itself: `user_1`, `42`;
 * - everything else is a JSON array of the values: `["eu",42]`. So is a text that could be mistaken for another key's
 *   id: an empty one, one that begins with `[` or `sha256:`, one with NUL or half of a surrogate pair;
 * - what is longer than 255 characters is `sha256:` and the hash of that array.
 *
 * @param values as `readExactly` read them
 * @param texts whether the field is declared to be a text. Then texts of digits are themselves and a number is an
 *   array; otherwise the other way round, so that `42` and `"42"` are two records
 * @returns undefined if every value is missing or null: there is no key
 */
export function idOfKey(values: readonly unknown[], texts: boolean): string | undefined {
  if (values.every((value) => value === undefined || value === null)) return undefined;
  const [only] = values;
  if (values.length === 1) {
    const plain = plainId(only, texts);
    if (plain !== undefined) return plain;
  }
  const array = `[${values.map(partOfKey).join()}]`;
  return hasAtMost(array, LIMITS.identifierCodePoints) ? array : hashed(array);
}

/** The id of a record without a key: the hash of its content as canonical JSON. */
export function idOfContent(data: unknown): string {
  return hashed(canonicalJson(data));
}

/** The value at a path, undefined if there is none. */
export function valueAt(data: unknown, path: readonly string[]): unknown {
  let value = data;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

function plainId(value: unknown, texts: boolean): string | undefined {
  if (typeof value === "number") return texts ? undefined : String(value);
  if (value instanceof InexactNumber) return !texts && isName(value.source) ? value.source : undefined;
  if (typeof value !== "string" || !isName(value)) return undefined;
  if (value.startsWith("[") || value.startsWith(HASHED)) return undefined;
  return !texts && NUMBER.test(value) ? undefined : value;
}

function partOfKey(value: unknown): string {
  return value instanceof InexactNumber ? value.source : canonicalJson(value ?? null);
}

const hashed = (text: string): string => HASHED + hash("sha256", text, "hex");
