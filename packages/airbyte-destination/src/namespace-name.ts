import { hash } from "node:crypto";
import { hasAtMost } from "@tidemark/protocol/keepable-text";
import { LIMITS } from "@tidemark/protocol/limits";
import type { StreamDescriptor } from "./failure.ts";

/** Characters to escape: those with a meaning here, and those that a namespace cannot contain. */
const RESERVED = /[%/~\0]|\p{Surrogate}/gu;
const HASH_CHARACTERS = 64;

/**
 * The Tidemark namespace of a stream: `users`, or `public/users` for a stream in an Airbyte namespace.
 *
 * No two streams share a namespace: `%`, `/` and `~` in names become `%25`, `%2F` and `%7E`, and a name of more than
 * 255 characters is cut and gets `~` and the SHA-256 of the whole name.
 */
export function namespaceOf({ name, namespace }: StreamDescriptor): string {
  const whole = namespace === undefined ? escapeName(name) : `${escapeName(namespace)}/${escapeName(name)}`;
  const limit = LIMITS.identifierCodePoints;
  if (hasAtMost(whole, limit)) return whole;
  const start = [...whole].slice(0, limit - HASH_CHARACTERS - 1).join("");
  return `${start}~${hash("sha256", whole, "hex")}`;
}

function escapeName(name: string): string {
  return name.replaceAll(RESERVED, (character) => {
    const code = character.charCodeAt(0).toString(16).toUpperCase();
    return code.length > 2 ? `%u${code}` : `%${code.padStart(2, "0")}`;
  });
}
