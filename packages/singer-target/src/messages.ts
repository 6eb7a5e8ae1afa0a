import { InexactNumber, parseExactJson } from "@tidemark/protocol/exact-json";
import { rawMember } from "./exact-json.ts";
import { TargetError } from "./failure.ts";

/** A message of a tap: https://hub.meltano.com/singer/spec */
export type Message =
  | { type: "SCHEMA"; stream: string; schema: Record<string, unknown>; keyProperties: string[] }
  | {
      type: "RECORD";
      stream: string;
      record: Record<string, unknown>;
      /** The version of the record's table, as text. */
      version: string | undefined;
      /** When the tap read the record, exactly as the tap wrote the time. */
      timeExtracted: string | undefined;
      /** Whether the record has {@link InexactNumber}s. */
      inexact: boolean;
    }
  /** `value` is the tap's exact JSON. */
  | { type: "STATE"; value: string }
  | { type: "ACTIVATE_VERSION"; stream: string; version: string };

/** Reads one line. @throws TargetError if the line is none of these messages */
export function readMessage(text: string, line: number): Message {
  const { value, inexact } = parse(text, line);
  if (!isObject(value)) throw new TargetError("Not a Singer message: not a JSON object.", { line });
  const { type, stream } = value;
  if (type === "STATE") {
    const raw = rawMember(text, "value");
    if (raw === undefined) throw new TargetError('The STATE message has no "value".', { line });
    return { type, value: raw };
  }
  if (type === "BATCH") {
    const hint = "Configure the tap to send RECORD messages (no batch_config).";
    throw new TargetError(`BATCH messages are not supported. ${hint}`, { stream: nameOf(stream), line });
  }
  if (type !== "SCHEMA" && type !== "RECORD" && type !== "ACTIVATE_VERSION") {
    const shown = type === undefined ? "a message without type" : `type ${JSON.stringify(type)}`;
    throw new TargetError(`Not a Singer message that this target knows: ${shown}.`, { line });
  }
  if (typeof stream !== "string" || stream === "") {
    throw new TargetError(`The ${type} message has no "stream".`, { line });
  }
  const place = { stream, line };
  if (type === "SCHEMA") {
    const { schema, key_properties: keys } = value;
    if (!isObject(schema)) throw new TargetError('The SCHEMA message has no "schema".', place);
    return { type, stream, schema, keyProperties: readKeys(keys, place) };
  }
  if (type === "ACTIVATE_VERSION") {
    const version = readVersion(value.version);
    if (version === undefined) throw new TargetError('The ACTIVATE_VERSION message has no "version".', place);
    return { type, stream, version };
  }
  const { record, time_extracted: time } = value;
  if (!isObject(record)) throw new TargetError('The RECORD message has no "record".', place);
  const timeExtracted = typeof time === "string" ? time : undefined;
  return { type, stream, record, version: readVersion(value.version), timeExtracted, inexact };
}

function parse(text: string, line: number) {
  let inexact = false;
  try {
    const value = parseExactJson(text, () => {
      inexact = true;
    });
    return { value, inexact };
  } catch (error) {
    // The parser's message is left out, because it quotes the line, which may hold records.
    const reason = error instanceof RangeError ? "nested too deeply" : "not JSON";
    throw new TargetError(`Not a Singer message: ${reason}.`, { line });
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof InexactNumber);

const nameOf = (stream: unknown) => (typeof stream === "string" ? stream : undefined);

/** @throws TargetError */
function readKeys(keys: unknown, place: { stream: string; line: number }): string[] {
  if (keys === undefined || keys === null) return [];
  if (Array.isArray(keys) && keys.every((key) => typeof key === "string")) return keys;
  throw new TargetError('"key_properties" must be an array of strings.', place);
}

function readVersion(version: unknown): string | undefined {
  if (version instanceof InexactNumber) return version.source;
  return version === undefined || version === null ? undefined : String(version);
}
