import { InexactNumber } from "@tidemark/protocol/exact-json";
import { replaceFaults, textFault } from "@tidemark/protocol/keepable-text";
import { LIMITS } from "@tidemark/protocol/limits";
import { FieldError, fieldPath } from "./failure.ts";

/** How values that the store cannot hold exactly are adapted. */
export interface Keeping {
  /** True: characters that cannot be stored become U+FFFD. False: they are an error. */
  replaceText: boolean;
  /** True: numbers that a double cannot hold become strings with all digits. False: they are an error. */
  inexactAsText: boolean;
}

/** Depth of a record: that of a request without the levels around the record (body, `operations`, operation). */
const DEPTH = LIMITS.jsonDepth - 3;

/**
 * Adapts a parsed record in place, so that the store can hold it.
 * @param onReplace called with the path of each changed text
 * @returns the record
 * @throws FieldError that names the field
 */
export function makeKeepable<T>(record: T, keeping: Keeping, onReplace: (field: string) => void): T {
  const path: (string | number)[] = [];

  const keepText = (text: string): string => {
    if (textFault(text) === undefined) return text;
    const field = fieldPath(path);
    if (!keeping.replaceText) {
      throw new FieldError("The string has U+0000 or an unpaired surrogate, which cannot be stored.", field);
    }
    onReplace(field);
    return replaceFaults(text);
  };

  const keep = (value: unknown): unknown => {
    if (typeof value === "string") return keepText(value);
    if (typeof value !== "object" || value === null) return value;
    if (value instanceof InexactNumber) return keepNumber(value);
    if (path.length >= DEPTH) throw new FieldError(`Nested deeper than ${DEPTH} levels.`, fieldPath(path));
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) {
        path.push(i);
        value[i] = keep(value[i]);
        path.pop();
      }
      return value;
    }
    for (const key of Object.keys(value)) keepMember(value as Record<string, unknown>, key);
    return value;
  };

  const keepMember = (object: Record<string, unknown>, key: string) => {
    path.push(key);
    const before = object[key];
    const name = keepText(key);
    const after = keep(before);
    if (name !== key) {
      if (Object.hasOwn(object, name))
        throw new FieldError("Two property names become equal.", fieldPath(path));
      delete object[key];
    }
    // defineProperty, because assigning to __proto__ would set the prototype.
    if (name !== key || after !== before) {
      Object.defineProperty(object, name, {
        value: after,
        writable: true,
        enumerable: true,
        configurable: true,
      });
    }
    path.pop();
  };

  const keepNumber = ({ source }: InexactNumber): string => {
    if (keeping.inexactAsText) return source;
    const hint = 'Set inexact_numbers to "text" to store such numbers as strings.';
    throw new FieldError(`The number has more digits than a double can hold. ${hint}`, fieldPath(path));
  };

  return keep(record) as T;
}
