import { isUtf8 } from "node:buffer";
import { ApiError, type FieldError } from "@tidemark/protocol/errors";
import { InexactNumber, parseExactJson } from "@tidemark/protocol/exact-json";
import { textFault } from "@tidemark/protocol/keepable-text";
import { LIMITS } from "@tidemark/protocol/limits";
import { ERRORS_PER_VALUE } from "./check-shape.ts";
import { fieldPath } from "./field-path.ts";
import { scanJson } from "./scan-json.ts";

export interface ParsedJson {
  value: unknown;
  /** Errors of fields that cannot be kept exactly; the caller must reject them. */
  inexact: FieldError[];
  /** Such errors within an element of the member's array, by the element's index. */
  inexactElements: Map<number, FieldError[]>;
  /** False if there are more such errors than were collected: then any part of the value may be inexact. */
  complete: boolean;
  /** The bytes of each object in the member's array, as they were sent; empty if their positions are unsure. */
  elements: Uint8Array[];
}

/**
 * Parses a request body, and finds what JavaScript values or the databases cannot keep exactly.
 * @param member the top-level member whose array elements are returned as they were sent
 * @throws ApiError INVALID_JSON
 */
export function readJson(bytes: Buffer, member?: string): ParsedJson {
  if (!isUtf8(bytes)) throw new ApiError("INVALID_JSON", { reason: "The body is not valid UTF-8." });
  const { depthExceeded, suspicious, escapedKeys, spans } = scanJson(bytes, member);
  if (depthExceeded) {
    throw new ApiError("INVALID_JSON", {
      reason: `The body is nested deeper than ${LIMITS.jsonDepth} levels.`,
      limit: LIMITS.jsonDepth,
    });
  }
  const text = bytes.toString("utf8");
  try {
    const parsed =
      suspicious || escapedKeys
        ? parseClosely(text, member)
        : { value: JSON.parse(text), inexact: [], inexactElements: new Map(), complete: true };
    const elements: Uint8Array[] = [];
    for (let i = 0; i < spans.length; i += 2) elements.push(bytes.subarray(spans[i], spans[i + 1]));
    return { ...parsed, elements };
  } catch (error) {
    throw new ApiError("INVALID_JSON", {
      reason: bytes.length === 0 ? "The body is empty." : syntaxReason(error),
    });
  }
}

/** Where the parser failed, without a quote from the body, which may contain records. */
function syntaxReason(error: unknown): string {
  const position = /at position (\d+)/.exec((error as Error).message)?.[1];
  return position ? `Unexpected character at position ${position}.` : "The body ends early or is not JSON.";
}

function parseClosely(text: string, member: string | undefined): Omit<ParsedJson, "elements"> {
  const value = parseExactJson(text);
  const inexact: FieldError[] = [];
  const inexactElements: ParsedJson["inexactElements"] = new Map();
  let count = 0;
  const add = (path: (string | number)[], code: string, message: string) => {
    const [first, index] = path;
    count++;
    const error = { field: fieldPath(path), code, message };
    const isElement = member !== undefined && first === member && typeof index === "number";
    const errors = isElement ? (inexactElements.get(index) ?? []) : inexact;
    errors.push(error);
    if (isElement) inexactElements.set(index, errors);
  };
  const visit = (value: unknown, path: (string | number)[]) => {
    if (count >= ERRORS_PER_VALUE) return;
    if (typeof value === "string") checkText(value, path, "The text");
    else if (value instanceof InexactNumber) {
      const shown = value.source.length > 40 ? `${value.source.slice(0, 40)}…` : value.source;
      const message = `${shown} cannot be kept exactly: as a double it is ${Number(value.source)}. Send it as a string.`;
      add(path, "INEXACT_NUMBER", message);
    } else if (Array.isArray(value)) {
      value.forEach((item, index) => {
        visit(item, [...path, index]);
      });
    } else if (typeof value === "object" && value !== null) {
      for (const [key, item] of Object.entries(value)) {
        checkText(key, [...path, key], "The key");
        visit(item, [...path, key]);
      }
    }
  };
  const checkText = (text: string, path: (string | number)[], subject: string) => {
    const problem = textFault(text);
    if (problem) add(path, "INVALID_TEXT", `${subject} contains ${problem}, which cannot be kept.`);
  };
  visit(value, []);
  return { value, inexact, inexactElements, complete: count < ERRORS_PER_VALUE };
}
