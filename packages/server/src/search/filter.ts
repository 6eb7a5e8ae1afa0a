import { canonicalJson } from "@tidemark/protocol/canonical-json";
import { compareCodePoints } from "@tidemark/protocol/code-point-order";
import { type FieldError, validationError } from "@tidemark/protocol/errors";
import { LIMITS } from "@tidemark/protocol/limits";
import { fieldPath } from "../wire/field-path.ts";

type Json = Record<string, unknown>;

/** Whether a record's `data` satisfies a filter. */
export type Filter = (data: Json) => boolean;

/** Whether a value of a record satisfies a condition. */
type Test = (value: unknown) => boolean;

/**
 * Compiles a search's `filter` into a function that tests many records. docs/guides/search-filters.md defines filters.
 *
 * @param filter parsed JSON
 * @throws ApiError VALIDATION_ERROR with the path of each invalid field, such as `filter.$and[2].status.$gt`
 */
export function readFilter(filter: unknown): Filter {
  const reader = new FilterReader();
  const read = reader.filter(filter, ["filter"], 1);
  if (reader.errors.length > 0) throw validationError(reader.errors);
  return read;
}

type Path = readonly (string | number)[];

const MATCHES_ALL: Filter = () => true;

class FilterReader {
  errors: FieldError[] = [];
  #conditions = 0;

  filter(filter: unknown, path: Path, depth: number): Filter {
    if (!isObject(filter)) return this.#refuse(path, "INVALID_TYPE", "Must be an object.");
    if (this.#isTooDeep(path, depth)) return MATCHES_ALL;
    const keys = Object.keys(filter);
    // An empty filter has no condition, but costs something.
    if (keys.length === 0) this.#count();
    return all(keys.map((key) => this.#member(key, filter[key], [...path, key], depth)));
  }

  #member(key: string, value: unknown, path: Path, depth: number): Filter {
    if (key === "$and") return all(this.#filters(value, path, depth));
    if (key === "$or") return any(this.#filters(value, path, depth));
    if (key === "$not") return not(this.filter(value, path, depth + 1));
    if (key.startsWith("$")) {
      const message = Object.hasOwn(OPERATORS, key)
        ? "Must be inside the condition of a field."
        : "Must be one of $and, $or, $not.";
      return this.#refuse(path, "UNKNOWN_OPERATOR", message);
    }
    if (key === "") return this.#refuse(path, "TOO_SHORT", "A path must have at least 1 character.");
    if (key.length > LIMITS.filterPathCodePoints && [...key].length > LIMITS.filterPathCodePoints) {
      const message = `A path must have at most ${LIMITS.filterPathCodePoints} characters.`;
      return this.#refuse(path, "TOO_LONG", message);
    }
    return this.#field(readPath(key), value, path, depth);
  }

  #filters(value: unknown, path: Path, depth: number): Filter[] {
    if (Array.isArray(value) && value.length > 0) {
      return value.map((item, index) => this.filter(item, [...path, index], depth + 1));
    }
    this.#refuse(path, "INVALID_TYPE", "Must be an array with at least one filter.");
    return [];
  }

  /** Compiles the value of a path: operators, or a value to compare with. */
  #field(find: Finder, value: unknown, path: Path, depth: number): Filter {
    const operators = isObject(value) ? Object.keys(value) : [];
    if (!operators.some((name) => name.startsWith("$"))) return this.#condition(find, "$eq", value, path);
    return this.#operators(find, value as Json, path, depth);
  }

  #operators(find: Finder, operators: Json, path: Path, depth: number): Filter {
    return all(
      Object.entries(operators).map(([name, operand]) => {
        const at = [...path, name];
        if (name !== "$not") return this.#condition(find, name, operand, at);
        if (!isObject(operand) || Object.keys(operand).length === 0) {
          return this.#refuse(at, "INVALID_TYPE", "Must be an object with operators.");
        }
        if (this.#isTooDeep(at, depth + 1)) return MATCHES_ALL;
        return not(this.#operators(find, operand, at, depth + 1));
      }),
    );
  }

  #condition(find: Finder, name: string, operand: unknown, path: Path): Filter {
    if (!this.#count()) return MATCHES_ALL;
    const compile = Object.hasOwn(OPERATORS, name) ? OPERATORS[name] : undefined;
    if (!compile) {
      const known = Object.keys(OPERATORS).join(", ");
      return this.#refuse(path, "UNKNOWN_OPERATOR", `Must be one of ${known}, $not.`);
    }
    const compiled = compile(operand, find);
    return typeof compiled === "function" ? compiled : this.#refuse(path, compiled.code, compiled.message);
  }

  #isTooDeep(path: Path, depth: number): boolean {
    const tooDeep = depth > LIMITS.filterDepth;
    if (tooDeep) this.#refuse(path, "TOO_DEEP", `Must be nested at most ${LIMITS.filterDepth} levels deep.`);
    return tooDeep;
  }

  /** Counts a condition. @returns false beyond the limit, where conditions are not compiled */
  #count(): boolean {
    this.#conditions++;
    if (this.#conditions === LIMITS.filterConditions + 1) {
      this.#refuse(["filter"], "TOO_MANY", `Must have at most ${LIMITS.filterConditions} conditions.`);
    }
    return this.#conditions <= LIMITS.filterConditions;
  }

  #refuse(path: Path, code: string, message: string): Filter {
    this.errors.push({ field: fieldPath([...path]), code, message });
    return MATCHES_ALL;
  }
}

type Problem = Pick<FieldError, "code" | "message">;

/** Compiles each operator with its operand, or returns what is wrong with the operand. */
const OPERATORS: Record<string, ((operand: unknown, find: Finder) => Filter | Problem) | undefined> = {
  $eq: (value, find) => isAnyOf([value], find),
  $ne: (value, find) => not(isAnyOf([value], find)),
  $in: (values, find) => problemOfList(values) ?? isAnyOf(values as unknown[], find),
  $nin: (values, find) => problemOfList(values) ?? not(isAnyOf(values as unknown[], find)),
  $gt: (bound, find) => compares(bound, find, (order) => order > 0),
  $gte: (bound, find) => compares(bound, find, (order) => order >= 0),
  $lt: (bound, find) => compares(bound, find, (order) => order < 0),
  $lte: (bound, find) => compares(bound, find, (order) => order <= 0),
  $exists: (expected, find) =>
    typeof expected === "boolean"
      ? (data) => (find(data, ANYTHING) !== Finding.NOTHING) === expected
      : { code: "INVALID_TYPE", message: "Must be a boolean." },
};

const ANYTHING: Test = () => true;

function problemOfList(values: unknown): Problem | undefined {
  if (!Array.isArray(values)) return { code: "INVALID_TYPE", message: "Must be an array." };
  if (values.length <= LIMITS.filterValues) return undefined;
  return { code: "TOO_MANY", message: `Must have at most ${LIMITS.filterValues} items.` };
}

/** Arrays and objects are equal if their canonical texts are; a missing value equals null. */
function isAnyOf(values: unknown[], find: Finder): Filter {
  const plain = new Set<unknown>(values.filter((value) => !isNested(value)));
  const nested = new Set(values.filter(isNested).map(canonicalJson));
  const hasNull = plain.has(null);
  const test: Test =
    nested.size === 0
      ? (value) => plain.has(value)
      : (value) => (isNested(value) ? nested.has(canonicalJson(value)) : plain.has(value));
  return (data) => {
    const result = find(data, test);
    return result === Finding.MATCH || (hasNull && result === Finding.NOTHING);
  };
}

/** Numbers are compared with numbers and strings with strings; values of other types never match. */
function compares(bound: unknown, find: Finder, holds: (order: number) => boolean): Filter | Problem {
  let test: Test;
  if (typeof bound === "number") test = (value) => typeof value === "number" && holds(value - bound);
  else if (typeof bound === "string") {
    test = (value) => typeof value === "string" && holds(compareCodePoints(value, bound));
  } else return { code: "INVALID_TYPE", message: "Must be a number or a string." };
  return (data) => find(data, test) === Finding.MATCH;
}

/** What a path leads to in a record: nothing, only values that fail the test, or a value that passes it. */
const Finding = { NOTHING: 0, VALUES: 1, MATCH: 2 } as const;
type Finding = (typeof Finding)[keyof typeof Finding];

type Finder = (data: Json, test: Test) => Finding;

/**
 * Compiles a path. It follows own members only, so that `constructor.name` finds nothing of JavaScript's own.
 * A member whose name is the whole path, with its dots, goes before the steps.
 */
function readPath(path: string): Finder {
  const steps = path.split(".");
  if (steps.length === 1) {
    return (data, test) => (Object.hasOwn(data, path) ? valueAt(data[path], test) : Finding.NOTHING);
  }
  return (data, test) =>
    Object.hasOwn(data, path) ? valueAt(data[path], test) : follow(data, steps, 0, test);
}

/** Tests the value at a path's end, and each element if the value is an array. */
function valueAt(value: unknown, test: Test): Finding {
  if (test(value) || (Array.isArray(value) && value.some(test))) return Finding.MATCH;
  return Finding.VALUES;
}

function follow(value: unknown, steps: string[], at: number, test: Test): Finding {
  if (at === steps.length) return valueAt(value, test);
  const step = steps[at]!;
  if (Array.isArray(value)) {
    // A step is either a position or a member of the elements: with both, each nested array would double the ways.
    if (POSITION.test(step)) {
      return Number(step) < value.length ? follow(value[Number(step)], steps, at + 1, test) : Finding.NOTHING;
    }
    let best: Finding = Finding.NOTHING;
    for (let i = 0; i < value.length && best !== Finding.MATCH; i++) {
      if (!isObject(value[i])) continue;
      const result = follow(value[i], steps, at, test);
      if (result > best) best = result;
    }
    return best;
  }
  return isObject(value) && Object.hasOwn(value, step)
    ? follow(value[step], steps, at + 1, test)
    : Finding.NOTHING;
}

const POSITION = /^(?:0|[1-9]\d*)$/;

const isNested = (value: unknown) => typeof value === "object" && value !== null;

function isObject(value: unknown): value is Json {
  return isNested(value) && !Array.isArray(value);
}

function all(filters: Filter[]): Filter {
  if (filters.length === 1) return filters[0]!;
  return (data) => filters.every((filter) => filter(data));
}

function any(filters: Filter[]): Filter {
  return (data) => filters.some((filter) => filter(data));
}

const not =
  (filter: Filter): Filter =>
  (data) =>
    !filter(data);
