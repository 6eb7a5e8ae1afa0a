import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { namespaceOf } from "../src/namespace-name.ts";

const name = fc.oneof(
  fc.string({ unit: "binary", maxLength: 200 }),
  fc
    .array(fc.constantFrom("a", "/", "%", "~", ".", "2F", "%2F", "\0", "\ud83d", "😀"), { maxLength: 4 })
    .map((s) => s.join("")),
  fc.integer({ min: 120, max: 260 }).map((length) => "x".repeat(length)),
);
const stream = fc.record({ name, namespace: name }, { requiredKeys: ["name"] });

describe("the namespace of a stream", () => {
  test("is different for different streams", () => {
    fc.assert(
      fc.property(stream, stream, (a, b) => {
        const same = a.name === b.name && a.namespace === b.namespace;
        assert.equal(namespaceOf(a) === namespaceOf(b), same);
      }),
      { numRuns: 1500 },
    );
  });

  test("is different for a long name and for the namespace of that name", () => {
    const cut = namespaceOf({ name: "x".repeat(300) });
    assert.equal([...cut].length, 255);
    assert.notEqual(namespaceOf({ name: cut }), cut);
  });

  test("is valid in Tidemark", () => {
    fc.assert(
      fc.property(stream, (named) => {
        fc.pre(named.name !== "");
        const namespace = namespaceOf(named);
        const { length } = [...namespace];
        assert.ok(length >= 1 && length <= 255 && namespace.isWellFormed() && !namespace.includes("\0"));
      }),
      { numRuns: 500 },
    );
  });

  const examples: [name: string, namespace: string | undefined, expected: string][] = [
    ["users", undefined, "users"],
    ["users", "public", "public/users"],
    ["clickup_tasks", undefined, "clickup_tasks"],
    ["a/b", "100%", "100%25/a%2Fb"],
    ["~", undefined, "%7E"],
    ["a\0\ud83d", undefined, "a%00%uD83D"],
    ["Пользователи 👥", "схема", "схема/Пользователи 👥"],
  ];
  for (const [name, namespace, expected] of examples) {
    test(`is ${expected} for ${JSON.stringify([namespace, name])}`, () => {
      assert.equal(namespaceOf(namespace === undefined ? { name } : { name, namespace }), expected);
    });
  }
});
