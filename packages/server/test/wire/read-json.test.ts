import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "@tidemark/protocol/errors";
import { InexactNumber, parseExactJson } from "@tidemark/protocol/exact-json";
import { isExact } from "@tidemark/protocol/exact-number";
import fc from "fast-check";
import { readJson } from "../../src/wire/read-json.ts";
import { scanJson } from "../../src/wire/scan-json.ts";
import { LONG } from "../long.ts";

const RUNS = LONG ? 50_000 : 3000;

const read = (text: string) => readJson(Buffer.from(text));

/** A rational number, as an exact pair of integers. */
type Fraction = [numerator: bigint, denominator: bigint];

/** The exact value of a JSON number, computed from its digits. */
function fractionOf(literal: string): Fraction {
  const [, sign, whole, fraction = "", exponent = "0"] =
    /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(literal)!;
  const digits = BigInt(`${sign}${whole}${fraction}`);
  const shift = BigInt(exponent) - BigInt(fraction.length);
  return shift >= 0n ? [digits * 10n ** shift, 1n] : [digits, 10n ** -shift];
}

/** Whether the double of a literal, written in its shortest form, has the literal's exact value. */
function survives(literal: string): boolean {
  const double = JSON.parse(literal);
  if (!Number.isFinite(double)) return false;
  const [a, b] = fractionOf(literal);
  const [c, d] = fractionOf(JSON.stringify(double));
  return a * d === b * c;
}

const digits = (maxLength: number) =>
  fc.array(fc.constantFrom(..."0123456789"), { minLength: 1, maxLength }).map((list) => list.join(""));
const literal = fc
  .record({
    sign: fc.constantFrom("", "-"),
    whole: fc.oneof(
      fc.constant("0"),
      digits(22).map((text) => text.replace(/^0+(?=.)/, "")),
    ),
    fraction: fc.oneof(
      fc.constant(""),
      digits(22).map((text) => `.${text}`),
      fc.constantFrom(".0", ".500000000000000000000"),
    ),
    exponent: fc.oneof(
      fc.constant(""),
      fc
        .tuple(
          fc.constantFrom("e", "E"),
          fc.constantFrom("", "+", "-"),
          fc.constantFrom("", "0", "00"),
          fc.nat(330),
        )
        .map((parts) => parts.join("")),
    ),
  })
  .map(({ sign, whole, fraction, exponent }) => sign + whole + fraction + exponent);
/** Doubles in their shortest form, and the same with one more digit. */
const nearDouble = fc.double({ noNaN: true, noDefaultInfinity: true }).chain((double) => {
  const text = JSON.stringify(double);
  const [mantissa, exponent] = text.split("e");
  const longer = mantissa!.includes(".") ? `${mantissa}1` : `${mantissa}.1`;
  return fc.constantFrom(text, exponent === undefined ? longer : `${longer}e${exponent}`);
});

test("a number is accepted if and only if a double keeps its value", () => {
  const outcomes = { exact: 0, inexact: 0 };
  fc.assert(
    fc.property(fc.oneof(literal, nearDouble), (number) => {
      const expected = survives(number);
      outcomes[expected ? "exact" : "inexact"]++;
      assert.equal(isExact(number), expected, number);
      const { value, inexact } = read(`{"a":[${number}]}`);
      assert.equal(inexact.length, expected ? 0 : 1, number);
      const kept = expected ? Number(number) : new InexactNumber(number);
      assert.deepEqual(parseExactJson(`[${number}]`), [kept]);
      if (expected) assert.equal((value as { a: [number] }).a[0], Number(number));
      else assert.deepEqual([inexact[0]!.field, inexact[0]!.code], ["a[0]", "INEXACT_NUMBER"]);
    }),
    {
      numRuns: RUNS,
      examples: ["9007199254740993", "1e400", "0.1", "1.0", "-0", "1e2", "5e-324", "4e-324", "0e999"].map(
        (n) => [n],
      ),
    },
  );
  assert.ok(outcomes.exact > RUNS / 10 && outcomes.inexact > RUNS / 10, JSON.stringify(outcomes));
});

test("a number with few digits and a short exponent is not suspicious", () => {
  const isSuspicious = (number: string) => scanJson(Buffer.from(`[${number}]`)).suspicious;
  for (const number of ["1e5", "-1.5E+22", "0.1e-99", "123456789012345"])
    assert.equal(isSuspicious(number), false);
  for (const number of ["1e300", "1E-400", "1e+022", "1234567890123456"])
    assert.equal(isSuspicious(number), true);
});

test("a number as long as a body is checked in one pass", () => {
  const zeros = "0".repeat(2_000_000);
  for (const [number, exact] of [
    [`0.1${zeros}`, true],
    [`0.1${zeros}1`, false],
    [`0.${zeros}1`, false],
    [`1${zeros}e-2000000`, true],
    [`0.${zeros}1e2000001`, true],
    [`1e-${"9".repeat(2_000_000)}`, false],
    [`0e${"9".repeat(2_000_000)}`, true],
    [`1e${zeros}5`, true],
  ] as const) {
    assert.equal(isExact(number), exact, number.slice(0, 5));
    const { inexact } = read(`[${number}]`);
    assert.equal(inexact.length, exact ? 0 : 1);
    if (!exact) assert.ok(inexact[0]!.message.length < 200);
  }
});

/** Strings of every kind, including lone surrogates and NUL. */
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc
    .array(
      fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
      { maxLength: 8 },
    )
    .map((units) => units.join("")),
  fc
    .array(fc.constantFrom("\ud83d", "\ude00", "\0", "\\", '"', "u0000", "a", "/"), { maxLength: 8 })
    .map((parts) => parts.join("")),
);
/** The text as JSON, with some unnecessary escapes. */
const escaped = (text: string, choices: boolean[]) =>
  `"${[...Array(text.length).keys()]
    .map((i) => {
      const unit = text[i]!;
      const must = unit < " " || unit === '"' || unit === "\\" || !unit.isWellFormed();
      const hex = `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
      if (!must) return choices[i % choices.length] ? hex : unit;
      const short = JSON.stringify(unit).slice(1, -1);
      return choices[i % choices.length] ? short : hex.toUpperCase().replace("\\U", "\\u");
    })
    .join("")}"`;
const keepable = (text: string) => text.isWellFormed() && !text.includes("\0");

test("a string is accepted if and only if it is well-formed Unicode without NUL, in any escaping", () => {
  const outcomes = { kept: 0, rejected: 0 };
  fc.assert(
    fc.property(anyText, fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }), (text, choices) => {
      const json = escaped(text, choices);
      assert.equal(JSON.parse(json), text);
      outcomes[keepable(text) ? "kept" : "rejected"]++;
      const asValue = read(`{"a":${json}}`);
      assert.deepEqual(asValue.value, { a: text });
      assert.deepEqual(
        asValue.inexact.map(({ field, code }) => [field, code]),
        keepable(text) ? [] : [["a", "INVALID_TEXT"]],
      );
      const asKey = read(`[{${json}:1}]`);
      assert.equal(asKey.inexact.length, keepable(text) ? 0 : 1);
    }),
    { numRuns: RUNS },
  );
  assert.ok(outcomes.kept > RUNS / 10 && outcomes.rejected > RUNS / 10, JSON.stringify(outcomes));
});

test("values equal those of JSON.parse, or inexact ones are reported", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6, stringUnit: "binary" }), fc.nat(3), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      const result = read(text);
      assert.deepEqual(result.value, JSON.parse(text));
      assert.equal(result.inexact.length > 0, hasNul(value));
    }),
    { numRuns: RUNS },
  );
});

function hasNul(value: unknown): boolean {
  if (typeof value === "string") return value.includes("\0");
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([key, item]) => key.includes("\0") || hasNul(item));
}

test("any text is read as JSON.parse reads it, or rejected as INVALID_JSON", () => {
  const fragment = fc.constantFrom(
    ...'{}[]:,"\\/ue0123456789.-+ntf \n'.split(""),
    "true",
    "null",
    "\\u",
    "é",
    "\u0000",
  );
  const almost = fc.array(fragment, { maxLength: 30 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(
      fc.oneof(
        almost,
        fc.json().map((text) => text.slice(0, -1)),
        fc.json(),
      ),
      (text) => {
        let expected: unknown;
        let valid = true;
        try {
          expected = JSON.parse(text);
        } catch {
          valid = false;
        }
        if (!valid) {
          assert.throws(
            () => read(text),
            (error) => error instanceof ApiError && error.code === "INVALID_JSON",
          );
          return;
        }
        const { value, inexact } = read(text);
        if (inexact.length === 0) assert.deepEqual(value, expected);
      },
    ),
    { numRuns: RUNS },
  );
});

test("64 levels are accepted and 65 are not, and brackets in strings do not count", () => {
  for (const [open, close] of [
    ["[", "]"],
    ['{"a":', "}"],
    ['[{"a":', "}]"],
  ] as const) {
    const perRound = open.startsWith("[{") ? 2 : 1;
    const nested = (levels: number) => `${open.repeat(levels / perRound)}0${close.repeat(levels / perRound)}`;
    assert.deepEqual(read(nested(64)).inexact, []);
    assert.throws(() => read(nested(66)), { code: "INVALID_JSON" });
    if (perRound === 1) assert.throws(() => read(nested(65)), { code: "INVALID_JSON" });
  }
  const text = JSON.stringify(["[".repeat(500), { "{{{": '"[\\' }]);
  assert.deepEqual(read(text).value, JSON.parse(text));
  assert.deepEqual(read(`[${"[],".repeat(500)}[]]`).inexact, [], "siblings are not nested");
});

test("bytes that are not UTF-8 are rejected anywhere", () => {
  for (const bytes of [
    [0xff],
    [0xc0, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0xe2, 0x82],
    [0x80],
  ]) {
    const bad = Buffer.from(bytes);
    for (const [before, after] of [
      ['{"a":"', '"}'],
      ['{"', '":1}'],
      ["", "{}"],
    ] as const) {
      const body = Buffer.concat([Buffer.from(before), bad, Buffer.from(after)]);
      assert.throws(() => readJson(body), { code: "INVALID_JSON" });
    }
  }
});

test("the reason names a position and quotes nothing", () => {
  for (const text of ['{"secret" 1}', '{"a":secret}', '["secret', "secret", '{"a":1}secret']) {
    assert.throws(
      () => read(text),
      (error) => {
        const { reason } = (error as ApiError).details as { reason: string };
        assert.match(reason, /position \d+|ends early/);
        assert.doesNotMatch(reason, /secret/);
        return true;
      },
    );
  }
});

test("the elements of the member are returned as they were sent, or not at all", () => {
  const space = fc.constantFrom("", " ", "\n", "\t ");
  const name = fc.constantFrom(
    "operations",
    "other",
    "operation",
    "operationss",
    "op\\u0065rations",
    "",
    "a[",
    "b{",
  );
  const object = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 });
  const value = fc.oneof(fc.array(object, { maxLength: 4 }), fc.jsonValue({ maxDepth: 3 }));
  const member = fc
    .tuple(name, value, space, space)
    .map(
      ([key, value, before, after]) => `${before}"${key}"${after}:${before}${JSON.stringify(value)}${after}`,
    );
  let compared = 0;
  fc.assert(
    fc.property(fc.array(member, { maxLength: 5 }), (members) => {
      const text = `{${members.join(",")}}`;
      const { value, elements } = readJson(Buffer.from(text), "operations");
      const { operations } = value as { operations?: unknown };
      // The server uses them only if their number is right.
      if (!Array.isArray(operations) || elements.length !== operations.length) return;
      const objects = operations.every(
        (item) => typeof item === "object" && item !== null && !Array.isArray(item),
      );
      if (!objects) return;
      compared += elements.length;
      assert.deepEqual(
        elements.map((bytes) => JSON.parse(Buffer.from(bytes).toString())),
        operations,
      );
    }),
    {
      numRuns: RUNS,
      examples: [
        [['"operations":[{"a":1}]', '"operations":[{"b":2}]']],
        [['"operations":[{"a":1}]', '"op\\u0065rations":[{"b":2}]']],
        [['"other":[{"a":1}]', '"operations":[{"operations":[{"x":1}]}]']],
        [['"operations":[{"a":"}{"},{"b":["]"]}]']],
      ],
    },
  );
  assert.ok(compared > RUNS / 10, `${compared} elements`);
  const sent = (text: string) =>
    readJson(Buffer.from(text), "operations").elements.map((bytes) => Buffer.from(bytes).toString());
  assert.deepEqual(sent('{"x":[{}], "operations" : [ {"a": 1.0} ,{}]}'), ['{"a": 1.0}', "{}"]);
  assert.deepEqual(sent('{"operations":[{"a":1}],"operations":[{"b":2}]}'), ['{"b":2}']);
  assert.deepEqual(scanJson(Buffer.from('{"operations":[{}]}')).spans, [], "without a member there are none");
});
