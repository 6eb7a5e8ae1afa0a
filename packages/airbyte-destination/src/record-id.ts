import { hash } from "node:crypto";
import { canonicalJson } from "@tidemark/protocol/canonical-json";
import { InexactNumber } from "@tidemark/protocol/exact-json";
import { hasAtMost, isName } from "@tidemark/protocol/keepable-text";
import { LIMITS } from "@tidemark/protocol/limits";

/** The paths of a key's fields. */
export type Key = string[][];

const HASHED = "sha256:";
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * The id of a record by the values of its primary key. Different keys give different ids:
 *
 * - A single string or number is its own id: `user_1`, `42`.
 * - Other keys become a JSON array of the values: `["eu",42]`. So does a single string that is not a valid id, or that
 *   could be mistaken for another key's id because it begins with `[` or `sha256:`.
 * - If the array has more than 255 characters, the id is `sha256:` and its hash.
 *
 * @param values as `readExactly` read them
 * @param isString whether the schema declares the field a string. Then `"42"` is its own id and `42` becomes an array;
 *   otherwise the other way round, so that `42` and `"42"` are two records
 * @returns undefined if every value is missing or null
 */
export function idOfKey(values: readonly unknown[], isString: boolean): string | undefined {
  if (values.every((value) => value === undefined || value === null)) return undefined;
  const [only] = values;
  if (values.length === 1) {
    const plain = plainId(only, isString);
    if (plain !== undefined) return plain;
  }
  const array = `[${values.map(partOfKey).join()}]`;
  return hasAtMost(array, LIMITS.identifierCodePoints) ? array : hashed(array);
}

/** The id of a record without a key: the hash of its content as canonical JSON. */
export function idOfContent(data: unknown): string {
  return hashed(canonicalJson(data));
}

/** The value at a path; undefined if there is none. */
export function valueAt(data: unknown, path: readonly string[]): unknown {
  let value = data;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

function plainId(value: unknown, isString: boolean): string | undefined {
  if (typeof value === "number") return isString ? undefined : String(value);
  if (value instanceof InexactNumber) return !isString && isName(value.source) ? value.source : undefined;
  if (typeof value !== "string" || !isName(value)) return undefined;
  if (value.startsWith("[") || value.startsWith(HASHED)) return undefined;
  return !isString && NUMBER.test(value) ? undefined : value;
}

function partOfKey(value: unknown): string {
  return value instanceof InexactNumber ? value.source : canonicalJson(value ?? null);
}

const hashed = (text: string): string => HASHED + hash("sha256", text, "hex");
