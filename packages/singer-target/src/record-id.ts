import { createHash } from "node:crypto";
import { canonicalJson } from "@tidemark/protocol/canonical-json";
import { InexactNumber } from "@tidemark/protocol/exact-json";
import { isName } from "@tidemark/protocol/keepable-text";
import { FieldError } from "./failure.ts";

/**
 * The id of a record in its namespace. Different keys never have the same id.
 *
 * - one key property: its value as text;
 * - several: their values as a JSON array, in the order of `key_properties`;
 * - none: `sha256:` and a hash of the content without `_sdc_` columns, so that equal records share an id;
 * - a key that cannot be an id (empty, over 255 code points, or with characters that cannot be stored): `sha256:` and
 *   its hash.
 *
 * @throws FieldError if the record lacks a key property
 */
export function recordId(record: Record<string, unknown>, keyProperties: readonly string[]): string {
  if (keyProperties.length === 0) return contentHash(record);
  for (const field of keyProperties) {
    if (!Object.hasOwn(record, field)) throw new FieldError("The record lacks this key property.", field);
  }
  const values = keyProperties.map((field) => record[field]);
  if (values.length > 1) return orHash(jsonArray(values), values);
  if (values[0] === null) throw new FieldError("The key property is null.", keyProperties[0]);
  return orHash(typeof values[0] === "string" ? values[0] : jsonOf(values[0]), values);
}

function contentHash(record: Record<string, unknown>): string {
  const own = Object.entries(record).filter(([name]) => !name.startsWith("_sdc_"));
  return hashed(jsonOf(Object.fromEntries(own)));
}

function orHash(text: string, values: unknown[]): string {
  return isName(text) ? text : hashed(jsonArray(values));
}

/** `sha256:` and 64 hexadecimal digits. */
export function hashed(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

const jsonArray = (values: unknown[]) => `[${values.map(jsonOf).join()}]`;

const jsonOf = (value: unknown) => (value instanceof InexactNumber ? value.source : canonicalJson(value));
