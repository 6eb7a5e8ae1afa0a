/** Longer words that only machines read, such as hashes, are not searched. */
const MACHINE_WORD_CHARACTERS = 128;
/** Longer lists of addresses and other machine-made words are not searched. */
const MACHINE_TEXT_CHARACTERS = 2000;

const DATE_TIME =
  /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?\s?(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?$/i;
const UUID = /^\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?$/i;
const URL_OR_DATA = /^(?:[a-z][a-z0-9+.-]*:\/\/|data:[a-z]+\/)/i;
const HEX_DIGEST = /^[0-9a-f]{32,}$/i;
const BASE64 = /^[A-Za-z0-9+/_-]{64,}={0,2}$/;
const LETTER = /\p{L}/u;
const LETTER_OR_DIGIT = /[\p{L}\p{N}]/u;

/**
 * How a string of a record is searched: `text` is shown and embedded; `words` (dates, numbers, URLs, UUIDs, hashes) are
 * only found as they are written; `none` is never searched, such as a file in base64. Identifiers such as
 * `CVE-2025-0282` or `task_123` are text.
 * @param value the string without white space around it
 */
export function kindOf(value: string): "text" | "words" | "none" {
  if (value.length <= 40 && DATE_TIME.test(value)) return "words";
  let searchable = false;
  for (let from = 0; from < value.length; ) {
    let end = from;
    while (end < value.length && value.charCodeAt(end) > 32) end++;
    const word = value.slice(from, end);
    const kind = kindOfWord(word);
    if (kind === "text") return "text";
    if (kind === "words") searchable = true;
    while (end < value.length && value.charCodeAt(end) <= 32) end++;
    from = end;
  }
  return searchable && value.length <= MACHINE_TEXT_CHARACTERS ? "words" : "none";
}

function kindOfWord(word: string): "text" | "words" | "none" {
  if (URL_OR_DATA.test(word)) {
    const isBlob = word.length > MACHINE_WORD_CHARACTERS && /^data:/i.test(word);
    return isBlob ? "none" : "words";
  }
  const isMachine = word.length >= 32 && (UUID.test(word) || HEX_DIGEST.test(word) || BASE64.test(word));
  if (isMachine) return word.length > MACHINE_WORD_CHARACTERS ? "none" : "words";
  // The beginning of a very long word suffices.
  const beginning = word.slice(0, 1000);
  if (LETTER.test(beginning)) return DATE_TIME.test(word) ? "words" : "text";
  return LETTER_OR_DIGIT.test(beginning) ? "words" : "none";
}
