import { hash } from "node:crypto";
import { hasAtMost } from "@tidemark/protocol/keepable-text";
import { LIMITS } from "@tidemark/protocol/limits";
import type { StreamDescriptor } from "./failure.ts";

/** What may not stand for itself: the signs that this file gives a meaning, and what a namespace cannot have. */
const RESERVED = /[%/~\0]|\p{Surrogate}/gu;
const HASH_CHARACTERS = 64;

/**
 * The namespace that a stream is kept in: `users`, or `public/users` for a stream in a namespace. No two streams have
 * the same: `%`, `/` and `~` in names are written as `%25`, `%2F` and `%7E`, and a name of more than 255 characters is
 * cut and ends in `~` and the SHA-256 of the whole.
 */
export function namespaceOf({ name, namespace }: StreamDescriptor): string {
  const whole = namespace === undefined ? escapeName(name) : `${escapeName(namespace)}/${escapeName(name)}`;
  const most = LIMITS.identifierCodePoints;
  if (hasAtMost(whole, most)) return whole;
  const kept = [...whole].slice(0, most - HASH_CHARACTERS - 1).join("");
  return `${kept}~${hash("sha256", whole, "hex")}`;
}

function escapeName(name: string): string {
  return name.replaceAll(RESERVED, (sign) => {
    const code = sign.charCodeAt(0).toString(16).toUpperCase();
    return code.length > 2 ? `%u${code}` : `%${code.padStart(2, "0")}`;
  });
}
