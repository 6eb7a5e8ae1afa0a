import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { ApiError, type FieldError } from "@tidemark/protocol/errors";
import { LIMITS } from "@tidemark/protocol/limits";
import fc from "fast-check";
import { readFilter } from "../../src/search/filter.ts";
import { LONG } from "../long.ts";

const RUNS = LONG ? 50_000 : 3000;

type Json = Record<string, unknown>;

const matches = (filter: unknown, data: Json) => readFilter(filter)(data);

/** The errors with which a filter is refused, as `path: CODE`. */
function refusal(filter: unknown): string[] {
  try {
    readFilter(filter);
  } catch (error) {
    assert.ok(error instanceof ApiError && error.code === "VALIDATION_ERROR");
    return (error.details.errors as FieldError[]).map(({ field, code }) => `${field}: ${code}`);
  }
  return [];
}

/** The names of the records that match. */
const matching = (filter: unknown, records: Record<string, Json>) =>
  Object.keys(records).filter((name) => matches(filter, records[name]!));

describe("a filter", () => {
  test("without members matches everything", () => {
    assert.equal(matches({}, {}), true);
  });

  test("requires all of its members", () => {
    const filter = { status: "open", priority: { $gte: 2, $lt: 4 } };
    assert.equal(matches(filter, { status: "open", priority: 3 }), true);
    assert.equal(matches(filter, { status: "open", priority: 4 }), false);
    assert.equal(matches(filter, { status: "done", priority: 3 }), false);
  });

  test("compares values of one type only", () => {
    const records = { number: { a: 1 }, text: { a: "1" }, truth: { a: true }, list: { a: [1] } };
    assert.deepEqual(matching({ a: 1 }, records), ["number", "list"]);
    assert.deepEqual(matching({ a: "1" }, records), ["text"]);
    assert.deepEqual(matching({ a: true }, records), ["truth"]);
    assert.deepEqual(matching({ a: { $gt: 0 } }, records), ["number", "list"]);
    assert.deepEqual(matching({ a: { $gt: "0" } }, records), ["text"]);
    assert.deepEqual(matching({ a: { $in: [true, "1"] } }, records), ["text", "truth"]);
  });

  test("treats a missing value as null, but $exists tells them apart", () => {
    const records = { missing: {}, null: { a: null }, value: { a: 0 } };
    assert.deepEqual(matching({ a: null }, records), ["missing", "null"]);
    assert.deepEqual(matching({ a: { $in: [null, 1] } }, records), ["missing", "null"]);
    assert.deepEqual(matching({ a: { $ne: null } }, records), ["value"]);
    assert.deepEqual(matching({ a: { $exists: true } }, records), ["null", "value"]);
    assert.deepEqual(matching({ a: { $exists: false } }, records), ["missing"]);
  });

  test("treats $ne and $nin as the opposites of $eq and $in", () => {
    const records = { missing: {}, one: { a: 1 }, two: { a: 2 }, both: { a: [1, 2] } };
    assert.deepEqual(matching({ a: { $ne: 1 } }, records), ["missing", "two"]);
    assert.deepEqual(matching({ a: { $nin: [1, 3] } }, records), ["missing", "two"]);
    assert.deepEqual(matching({ a: { $nin: [] } }, records), ["missing", "one", "two", "both"]);
    assert.deepEqual(matching({ a: { $in: [] } }, records), []);
  });

  test("compares an element of an array, or the whole array", () => {
    const data = { tags: ["a", "b"], grid: [[1, 2], [3]], items: [{ n: 1 }, { n: 5, on: true }, 7] };
    assert.equal(matches({ tags: "b" }, data), true);
    assert.equal(matches({ tags: ["a", "b"] }, data), true);
    assert.equal(matches({ tags: ["b", "a"] }, data), false);
    assert.equal(matches({ grid: [3] }, data), true);
    assert.equal(matches({ grid: 3 }, data), false);
    assert.equal(matches({ "items.n": 5 }, data), true);
    assert.equal(matches({ "items.0.n": 5 }, data), false);
    assert.equal(matches({ "items.1.n": 5 }, data), true);
    assert.equal(matches({ "items.9": { $exists: false } }, data), true);
    // Each condition may match another element.
    assert.equal(matches({ "items.n": { $gt: 1, $lt: 5 } }, data), true);
    assert.equal(matches({ "items.n": null }, data), false);
  });

  test("compares objects and arrays as JSON, whatever the order of their keys", () => {
    const data = { at: { lat: 1, tags: ["x", { y: 0 }] } };
    assert.equal(matches({ at: { tags: ["x", { y: -0 }], lat: 1 } }, data), true);
    assert.equal(matches({ at: { $in: [1, { tags: ["x", { y: 0 }], lat: 1 }] } }, data), true);
    assert.equal(matches({ at: { lat: 1 } }, data), false);
    assert.equal(matches({ at: {} }, { at: {} }), true);
    assert.equal(matches({ at: [] }, { at: {} }), false);
    assert.equal(matches({ at: { $eq: { $gt: 1 } } }, { at: { $gt: 1 } }), true);
  });

  test("orders strings by code points, so that date-times in one format are in order", () => {
    assert.equal(matches({ at: { $lt: "2025-11-11" } }, { at: "2025-11-10T23:59:59Z" }), true);
    assert.equal(matches({ a: { $gt: "～" } }, { a: "😀" }), true);
    assert.equal(matches({ a: { $gt: "ab" } }, { a: "abc" }), true);
    assert.equal(matches({ a: { $gt: "Z" } }, { a: "a" }), true);
    assert.equal(matches({ a: { $lte: "é" } }, { a: "é" }), true);
  });

  test("joins filters with $and, $or and $not", () => {
    const records = { a: { n: 1 }, b: { n: 2 }, c: { n: 3 }, d: {} };
    assert.deepEqual(matching({ $or: [{ n: 1 }, { n: { $gt: 2 } }] }, records), ["a", "c"]);
    assert.deepEqual(matching({ $and: [{ n: { $ne: 1 } }, { n: { $ne: 2 } }] }, records), ["c", "d"]);
    assert.deepEqual(matching({ $not: { n: 1 }, n: { $exists: true } }, records), ["b", "c"]);
    assert.deepEqual(matching({ n: { $not: { $gte: 2, $lt: 3 } } }, records), ["a", "c", "d"]);
    assert.deepEqual(matching({ $or: [{ $not: { $or: [{ n: 1 }, { n: 2 }] } }, { n: 2 }] }, records), [
      "b",
      "c",
      "d",
    ]);
  });

  test("finds the member whose name is the whole path before it follows the steps", () => {
    assert.equal(matches({ "author.name": "Ada" }, { "author.name": "Ada" }), true);
    const both = { "author.name": "Ada", author: { name: "Grace" } };
    assert.equal(matches({ "author.name": "Ada" }, both), true);
    assert.equal(matches({ "author.name": "Grace" }, both), false);
    assert.equal(matches({ "a..b": 1, "a.": 2 }, { a: { "": { b: 1 } }, "a.": 2 }), true);
  });

  test("sees nothing of JavaScript's own", () => {
    const names = ["__proto__", "constructor", "toString", "constructor.name", "__proto__.toString"];
    const data = { text: "abc", list: [1], nested: {} };
    for (const name of [...names, "text.length", "list.length", "nested.constructor", "text.0"]) {
      assert.equal(matches(JSON.parse(`{"${name}": {"$exists": true}}`), data), false, name);
    }
    const own = JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}');
    assert.equal(matches(JSON.parse('{"__proto__.a": 1, "constructor": 2}'), own), true);
    assert.equal(matches(JSON.parse('{"x": {"__proto__": 1}}'), { x: {} }), false);
    assert.equal(matches(JSON.parse('{"x": {"__proto__": 1}}'), JSON.parse('{"x": {"__proto__": 1}}')), true);
  });

  test("follows a path through nested arrays in one way only", () => {
    let data: unknown = "found";
    for (let i = 0; i < 31; i++) data = [{ 0: data }];
    const path = `a${".0".repeat(48)}`;
    assert.equal(matches({ [path]: "found" }, { a: data }), false);
    assert.equal(matches({ [`a${".0".repeat(62)}`]: "found" }, { a: data }), true);
  });
});

describe("an invalid filter", () => {
  test("is refused with the path of each invalid field", () => {
    const wrong = {
      $and: [{}, {}, { status: { $gt: true, $regex: "x", $in: "open" } }],
      $or: [],
      $nor: [{}],
      $gt: 5,
      "author.name": { $exists: 1, plain: 2 },
      "": 1,
      state: { $not: "open" },
      town: { $not: {} },
      deep: { $not: { $lt: null } },
      $not: ["no"],
    };
    assert.deepEqual(refusal(wrong), [
      "filter.$and[2].status.$gt: INVALID_TYPE",
      "filter.$and[2].status.$regex: UNKNOWN_OPERATOR",
      "filter.$and[2].status.$in: INVALID_TYPE",
      "filter.$or: INVALID_TYPE",
      "filter.$nor: UNKNOWN_OPERATOR",
      "filter.$gt: UNKNOWN_OPERATOR",
      'filter["author.name"].$exists: INVALID_TYPE',
      'filter["author.name"].plain: UNKNOWN_OPERATOR',
      'filter[""]: TOO_SHORT',
      "filter.state.$not: INVALID_TYPE",
      "filter.town.$not: INVALID_TYPE",
      "filter.deep.$not.$lt: INVALID_TYPE",
      "filter.$not: INVALID_TYPE",
    ]);
  });

  test("is anything but an object", () => {
    for (const filter of [null, [], "x", 1]) assert.deepEqual(refusal(filter), ["filter: INVALID_TYPE"]);
    assert.deepEqual(refusal({ $or: [1] }), ["filter.$or[0]: INVALID_TYPE"]);
  });

  test("may have operators with names of JavaScript's own members", () => {
    for (const name of ["constructor", "__proto__", "toString"]) {
      const filter = JSON.parse(`{"a": {"$gt": 1, "${name}": 1}}`);
      assert.deepEqual(refusal(filter), [`filter.a.${name}: UNKNOWN_OPERATOR`]);
    }
  });

  test("is one above the limits, and not one at them", () => {
    const { filterDepth, filterConditions, filterValues, filterPathCodePoints } = LIMITS;
    const nested = (levels: number, filter: unknown): unknown =>
      levels === 0 ? filter : { $not: nested(levels - 1, filter) };
    assert.deepEqual(refusal(nested(filterDepth - 1, { a: 1 })), []);
    assert.match(refusal(nested(filterDepth, { a: 1 }))[0]!, /^filter(\.\$not){16}: TOO_DEEP$/);
    const operators = (levels: number) => ({ a: nested(levels, { $gt: 1 }) });
    assert.deepEqual(refusal(operators(filterDepth - 1)), []);
    assert.match(refusal(operators(filterDepth))[0]!, /^filter\.a(\.\$not){16}: TOO_DEEP$/);

    for (const condition of [{ a: 1 }, { a: { $gt: 1 } }, {}, { a: { $in: [1, 2] } }]) {
      const many = (count: number) => ({ $or: Array.from({ length: count }, () => condition) });
      assert.deepEqual(refusal(many(filterConditions)), []);
      assert.deepEqual(refusal(many(filterConditions + 5)), ["filter: TOO_MANY"]);
    }
    const list = (length: number) => ({ a: { $in: Array.from({ length }, (_, i) => i) } });
    assert.deepEqual(refusal(list(filterValues)), []);
    assert.deepEqual(refusal(list(filterValues + 1)), ["filter.a.$in: TOO_MANY"]);

    assert.deepEqual(refusal({ ["😀".repeat(filterPathCodePoints)]: 1 }), []);
    assert.equal(refusal({ ["a".repeat(filterPathCodePoints + 1)]: 1 }).length, 1);
  });
});

describe("the definition and the implementation agree", () => {
  /** The guide's definition, word for word: all values of a path, then each operator over them. */
  const naive = {
    values(data: Json, path: string): { whole: unknown }[] {
      if (Object.hasOwn(data, path)) return [{ whole: data[path] }];
      let here: unknown[] = [data];
      for (const step of path.split(".")) {
        here = here.flatMap((value) => {
          if (Array.isArray(value) && `${Number(step)}` === step)
            return value.slice(Number(step)).slice(0, 1);
          return [value]
            .flat(1)
            .filter((item) => typeof item === "object" && item !== null && !Array.isArray(item))
            .flatMap((item) => Object.entries(item as Json).filter(([key]) => key === step))
            .map(([, item]) => item);
        });
      }
      return here.map((whole) => ({ whole }));
    },
    candidates(data: Json, path: string): unknown[] {
      return naive
        .values(data, path)
        .flatMap(({ whole }) => (Array.isArray(whole) ? [whole, ...whole] : [whole]));
    },
    order(a: unknown, b: unknown): number {
      if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
      if (typeof a === "string" && typeof b === "string")
        return Buffer.compare(Buffer.from(a), Buffer.from(b));
      return Number.NaN;
    },
    holds(operator: string, operand: unknown, data: Json, path: string): boolean {
      const values = naive.candidates(data, path);
      const equal = (expected: unknown) =>
        values.length === 0 ? expected === null : values.some((value) => isDeepStrictEqual(value, expected));
      const compared = (holds: (order: number) => boolean) =>
        values.some((value) => holds(naive.order(value, operand)));
      switch (operator) {
        case "$eq":
          return equal(operand);
        case "$ne":
          return !equal(operand);
        case "$in":
          return (operand as unknown[]).some(equal);
        case "$nin":
          return !(operand as unknown[]).some(equal);
        case "$exists":
          return values.length > 0 === operand;
        case "$gt":
          return compared((order) => order > 0);
        case "$gte":
          return compared((order) => order >= 0);
        case "$lt":
          return compared((order) => order < 0);
        case "$lte":
          return compared((order) => order <= 0);
        case "$not":
          return !naive.field(operand, data, path);
        default:
          throw new Error(operator);
      }
    },
    field(condition: unknown, data: Json, path: string): boolean {
      const isOperators = Object.keys(Object(condition)).some((key) => key.startsWith("$"));
      const operators = (isOperators ? condition : { $eq: condition }) as Json;
      return Object.entries(operators).every(([name, operand]) => naive.holds(name, operand, data, path));
    },
    matches(filter: Json, data: Json): boolean {
      return Object.entries(filter).every(([key, value]) => {
        if (key === "$and") return (value as Json[]).every((item) => naive.matches(item, data));
        if (key === "$or") return (value as Json[]).some((item) => naive.matches(item, data));
        if (key === "$not") return !naive.matches(value as Json, data);
        return naive.field(value, data, key);
      });
    },
  };

  // Few names and values, so that paths often lead to values and values repeat.
  const scalar = fc.constantFrom<unknown>(null, true, false, 0, 1, 2.5, "", "a", "b", "～", "😀", "1");
  const key = fc.constantFrom("a", "b", "0", "1", "a.b", "__proto__", "constructor", "");
  const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value));
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      { arbitrary: scalar, weight: 2 },
      { arbitrary: fc.array(tie("value"), { maxLength: 3 }), weight: 1 },
      { arbitrary: fc.dictionary(key, tie("value"), { maxKeys: 3 }), weight: 2 },
    ),
  }));
  const data = fc.dictionary(key, value, { maxKeys: 4 }).map(plain);
  const path = fc
    .array(fc.constantFrom("a", "b", "0", "1", "__proto__", "constructor", ""), {
      minLength: 1,
      maxLength: 4,
    })
    .map((steps) => steps.join("."))
    .filter((text) => text !== "");
  const bound = fc.constantFrom<unknown>(0, 1, 2.5, "", "a", "～", "😀", "1");
  const equality = fc.oneof(
    fc.record({ $eq: value }),
    fc.record({ $ne: value }),
    fc.record({ $in: fc.array(value, { maxLength: 3 }) }),
    fc.record({ $nin: fc.array(value, { maxLength: 3 }) }),
    fc.record({ $exists: fc.boolean() }),
  );
  const range = fc.constantFrom("$gt", "$gte", "$lt", "$lte");
  const ranges = fc.dictionary(range, bound, { maxKeys: 2 });
  const operators = fc.tuple(equality, ranges).map(([equality, ranges]) => ({ ...equality, ...ranges }));
  const condition = fc.oneof(value, operators, fc.record({ $not: operators }));
  const { filter } = fc.letrec<{ filter: Json }>((tie) => ({
    filter: fc.oneof(
      // This depth stays within the limit of conditions.
      { maxDepth: 2, withCrossShrink: true },
      fc.dictionary(path, condition, { maxKeys: 2 }),
      fc.record(
        {
          $and: fc.array(tie("filter"), { minLength: 1, maxLength: 2 }),
          $or: fc.array(tie("filter"), { minLength: 1, maxLength: 2 }),
          $not: tie("filter"),
        },
        { requiredKeys: [] },
      ),
    ),
  }));

  test("for any filter and any record", () => {
    const seen = { true: 0, false: 0 };
    fc.assert(
      fc.property(filter.map(plain), data, (filter, data) => {
        const expected = naive.matches(filter, data);
        seen[`${expected}`]++;
        assert.equal(matches(filter, data), expected);
      }),
      { numRuns: RUNS },
    );
    assert.ok(Math.min(seen.true, seen.false) > RUNS / 10, JSON.stringify(seen));
  });

  test("for one condition on a path that the record has", () => {
    const paths = (value: unknown, prefix: string[] = []): string[] =>
      typeof value !== "object" || value === null
        ? [prefix.join(".")]
        : Object.entries(value).flatMap(([key, item]) => [
            ...paths(item, [...prefix, key]),
            ...(Array.isArray(value) ? paths(item, prefix) : []),
          ]);
    fc.assert(
      fc.property(data, fc.nat(), operators.map(plain), (data, choice, operators) => {
        const all = paths(data).filter((path) => path !== "");
        fc.pre(all.length > 0);
        const path = all[choice % all.length]!;
        const filter = JSON.parse(`{${JSON.stringify(path)}: ${JSON.stringify(operators)}}`);
        assert.equal(matches(filter, data), naive.matches(filter, data));
        const exists = JSON.parse(`{${JSON.stringify(path)}: {"$exists": true}}`);
        assert.equal(matches(exists, data), naive.matches(exists, data));
      }),
      { numRuns: RUNS },
    );
  });

  test("and an arbitrary filter is either evaluated or refused as invalid", () => {
    const anything = fc.jsonValue({ maxDepth: 5 });
    const name = fc.constantFrom("$and", "$or", "$not", "$eq", "$in", "$gt", "$exists", "$x", "a", "a.b", "");
    const { odd } = fc.letrec<{ odd: unknown }>((tie) => ({
      odd: fc.oneof(
        { maxDepth: 6 },
        anything,
        fc.array(tie("odd"), { maxLength: 3 }),
        fc.dictionary(name, tie("odd"), { maxKeys: 3 }),
      ),
    }));
    fc.assert(
      fc.property(odd.map(plain), data, (filter, data) => {
        if (refusal(filter).length === 0) assert.equal(typeof matches(filter, data), "boolean");
      }),
      { numRuns: RUNS },
    );
  });
});
