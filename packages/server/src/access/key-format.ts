import { createHash, randomInt } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Role } from "@tidemark/protocol/management";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ROLE_LETTERS: Record<Role, string> = { connector: "c", reader: "r", admin: "a" };
const KEY = /^(tdm_[cra]_([0-9A-Za-z]{8})_[0-9A-Za-z]{32,64})([0-9A-Za-z]{6})$/;

/** A new key, `tdm_<role letter>_<short id>_<40 random characters><checksum>`: about 238 random bits. */
export function makeKey(role: Role): string {
  const body = `tdm_${ROLE_LETTERS[role]}_${randomText(8)}_${randomText(40)}`;
  return body + checksum(body);
}

/** The key's short id; undefined if the text is not a key. Its checksum saves a query for mistyped keys. */
export function readKey(text: string): { shortId: string } | undefined {
  const [, body, shortId, sum] = KEY.exec(text) ?? [];
  return body !== undefined && checksum(body) === sum ? { shortId: shortId! } : undefined;
}

/** The part of a key by which people tell keys apart; it grants no access. */
export function keyPrefix(role: Role, keyId: string): string {
  return `tdm_${ROLE_LETTERS[role]}_${keyId.slice("key_".length)}`;
}

/** The key's SHA-256 in hex, for the database. Keys are random, so a slow hash would add nothing. */
export function hashKey(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

function randomText(length: number): string {
  return Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join("");
}

/** CRC-32 in base 62: it detects typing errors and lets secret scanners recognize keys. */
function checksum(body: string): string {
  let rest = crc32(body);
  let text = "";
  for (let i = 0; i < 6; i++) {
    text = ALPHABET[rest % 62] + text;
    rest = Math.floor(rest / 62);
  }
  return text;
}
