import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalJson } from "@tidemark/protocol/canonical-json";
import fc from "fast-check";
import { LONG } from "../long.ts";

const RUNS = LONG ? 50_000 : 2000;
const canonical = (text: string) => canonicalJson(JSON.parse(text));

test("the sample of RFC 8785, section 3.2.3: keys are sorted by UTF-16 code units", () => {
  const input = String.raw`{
    "\u20ac": "Euro Sign",
    "\r": "Carriage Return",
    "\ufb33": "Hebrew Letter Dalet With Dagesh",
    "1": "One",
    "\ud83d\ude00": "Emoji: Grinning Face",
    "\u0080": "Control",
    "\u00f6": "Latin Small Letter O With Diaeresis"
  }`;
  assert.deepEqual(
    [...canonical(input).matchAll(/:"([^"]+)"/g)].map(([, value]) => value),
    [
      "Carriage Return",
      "One",
      "Control",
      "Latin Small Letter O With Diaeresis",
      "Euro Sign",
      "Emoji: Grinning Face",
      "Hebrew Letter Dalet With Dagesh",
    ],
  );
});

test("the sample of RFC 8785, section 3.2.4, is reproduced byte by byte", () => {
  const hex =
    "7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e756d62657273223a" +
    "5b3333333333333333332e333333333333332c31652b33302c342e352c302e3030322c31652d3237" +
    "5d2c22737472696e67223a22e282ac245c75303030665c6e4127425c225c5c5c5c5c222f227d";
  const input = String.raw`{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}`;
  assert.equal(canonical(input), Buffer.from(hex, "hex").toString());
});

test("the numbers of RFC 8785, appendix B, are written as listed there", () => {
  const samples: [bits: string, text: string][] = [
    ["0000000000000000", "0"],
    ["8000000000000000", "0"],
    ["0000000000000001", "5e-324"],
    ["8000000000000001", "-5e-324"],
    ["7fefffffffffffff", "1.7976931348623157e+308"],
    ["ffefffffffffffff", "-1.7976931348623157e+308"],
    ["4340000000000000", "9007199254740992"],
    ["c340000000000000", "-9007199254740992"],
    ["4430000000000000", "295147905179352830000"],
    ["44b52d02c7e14af5", "9.999999999999997e+22"],
    ["44b52d02c7e14af6", "1e+23"],
    ["44b52d02c7e14af7", "1.0000000000000001e+23"],
    ["444b1ae4d6e2ef4e", "999999999999999700000"],
    ["444b1ae4d6e2ef4f", "999999999999999900000"],
    ["444b1ae4d6e2ef50", "1e+21"],
    ["3eb0c6f7a0b5ed8c", "9.999999999999997e-7"],
    ["3eb0c6f7a0b5ed8d", "0.000001"],
    ["41b3de4355555553", "333333333.3333332"],
    ["41b3de4355555554", "333333333.33333325"],
    ["41b3de4355555555", "333333333.3333333"],
    ["41b3de4355555556", "333333333.3333334"],
    ["41b3de4355555557", "333333333.33333343"],
    ["becbf647612f3696", "-0.0000033333333333333333"],
    ["43143ff3c1cb0959", "1424953923781206.2"],
  ];
  for (const [bits, text] of samples) {
    assert.equal(canonicalJson(Buffer.from(bits, "hex").readDoubleBE()), text);
  }
});

/** The same value with the keys of every object in another order. */
function shuffled(value: unknown, random: () => number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => shuffled(item, random));
  const entries = Object.entries(value).map(
    ([key, item]) => [random(), key, shuffled(item, random)] as const,
  );
  const result = {};
  for (const [, key, item] of entries.sort(([a], [b]) => a - b)) {
    Object.defineProperty(result, key, { value: item, enumerable: true, configurable: true, writable: true });
  }
  return result;
}

const key = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("__proto__", "constructor", "1", "02", "10", "-1", "\ufb33", "😀", "a", "A", ""),
);
const { value: anyJson } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.string({ unit: "grapheme" }),
      fc.constantFrom(null, true, false, -0, 1e21),
    ),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(key, tie("value"), { maxKeys: 5 }),
  ),
}));

test("equal values have the same text, whatever their order of keys and their spacing", () => {
  fc.assert(
    fc.property(
      anyJson,
      fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
      fc.nat(4),
      (value, stream, indent) => {
        const text = canonicalJson(value);
        const reordered = shuffled(value, () => stream.next().value);
        assert.equal(canonicalJson(reordered), text);
        assert.equal(canonical(JSON.stringify(reordered, null, indent)), text);
        assert.equal(canonical(text), text);
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
      },
    ),
    { numRuns: RUNS },
  );
});

test("different values have different texts", () => {
  fc.assert(
    fc.property(anyJson, anyJson, (a, b) => {
      const plain = (value: unknown) => JSON.parse(JSON.stringify(value));
      let same = true;
      try {
        assert.deepEqual(plain(a), plain(b));
      } catch {
        same = false;
      }
      assert.equal(canonicalJson(a) === canonicalJson(b), same);
    }),
    {
      numRuns: RUNS,
      examples: [
        [[1], ["1"]],
        [{ a: [] }, { a: {} }],
        [{ a: null }, {}],
        [["a,b"], ["a", "b"]],
        [-0, 0],
      ],
    },
  );
});
