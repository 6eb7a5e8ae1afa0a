import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { markSpans, snippetOf } from "../../src/search/snippet.ts";
import { LONG } from "../long.ts";

const RUNS = LONG ? 20_000 : 1000;

/** Terms like an index's: without plural endings, identifiers whole and in parts, pairs of Han characters. */
function tokensOf(text: string): string[] {
  return [
    ...text
      .normalize("NFKC")
      .toLowerCase()
      .matchAll(/[\p{L}\p{N}]+(?:[-_.+]+[\p{L}\p{N}]*)*/gu),
  ].flatMap(([piece]) => {
    const parts = piece.match(/[\p{Script=Han}\p{Script=Hiragana}]+|[a-zà-ÿ]+|\p{N}+/gu) ?? [];
    const terms = parts.flatMap((part) =>
      /^[\p{Script=Han}\p{Script=Hiragana}]{2}/u.test(part)
        ? [...part].slice(1).map((character, i) => [...part][i]! + character)
        : [part.replace(/s$/, "")],
    );
    return /[-_.+]/.test(piece) ? [piece.replace(/\.$/, ""), ...terms] : terms;
  });
}

/** A snippet with its spans in brackets. */
const show = (chunk: string, query: string, characters = Number.POSITIVE_INFINITY) =>
  markSpans(snippetOf(chunk, query, tokensOf, characters), (word) => `[${word}]`);

describe("a match of the query", () => {
  test("is a word of the same stem, as written in the chunk", () => {
    assert.equal(
      show("Printers on fire: the Printer burns.", "printer fires"),
      "[Printers] on [fire]: the [Printer] burns.",
    );
    assert.equal(show("No toner.", "printer"), "No toner.");
    assert.equal(show("Toner", ""), "Toner");
  });

  test("is not a part of a longer word", () => {
    assert.equal(show("cat category concat", "cat"), "[cat] category concat");
  });

  test("is a whole identifier if the query has it, and otherwise its parts", () => {
    assert.equal(
      show("See (CVE-2025-0282), CVE-2025-9999.", "CVE-2025-0282"),
      "See ([CVE-2025-0282]), [CVE]-[2025]-9999.",
    );
    assert.equal(show("task_123 and task_124", "task 123"), "[task]_[123] and [task]_124");
    assert.equal(show("C++ or C", "C++"), "[C++] or [C]");
  });

  test("is a pair of characters in a text without spaces", () => {
    assert.equal(show("新しい写真機を買う。写生", "写真機"), "新しい[写真機]を買う。写生");
    assert.equal(show("Canonの写真機 PowerShot", "写真 canon"), "[Canon]の[写真]機 PowerShot");
    assert.equal(show("猫", "猫"), "[猫]");
    assert.equal(show("写真機を見せる", "見せ"), "写真機を[見せ]る");
  });

  test("is marked at the right place after characters beyond the basic plane", () => {
    assert.equal(show("😀 ｆｉｒｅ 😀fire", "fire"), "😀 [ｆｉｒｅ] 😀[fire]");
  });
});

describe("a snippet", () => {
  const chunk = `${"filler ".repeat(40)}a lone printer ${"filler ".repeat(40)}the printer is on fire ${"filler ".repeat(40)}`;

  test("is the stretch with the most terms of the query", () => {
    assert.equal(show(chunk, "printer fire", 50), "…filler the [printer] is on [fire] filler filler filler…");
    assert.equal(show(chunk, "lone", 30), "…filler a [lone] printer filler…");
  });

  test("begins at the chunk's start if nothing matches, and has no ellipsis at the chunk's end", () => {
    assert.equal(show("one two three four", "five", 9), "one two…");
    assert.equal(show("one two three four", "four", 9), "…[four]");
    assert.equal(show("one two three", "two", 13), "one [two] three");
  });

  test("counts a term once, however often it occurs", () => {
    const text = `fire fire fire fire ${"x ".repeat(30)}the printer is on fire ${"x ".repeat(30)}`;
    assert.equal(show(text, "printer fire", 22), "…[printer] is on [fire] x x…");
  });

  test("prefers long words to short ones", () => {
    const text = `in on at ${"x ".repeat(30)}authentication ${"x ".repeat(30)}`;
    assert.equal(show(text, "in authentication", 20), "…x [authentication] x x…");
  });

  test("is one line that a terminal can print", () => {
    assert.equal(show(" Title\n\n\u001b[31mred\u0007\tfire\u009b ", "fire"), "Title [31mred [fire]");
  });

  test("of a text without spaces is cut between characters", () => {
    assert.equal(show(`${"猫".repeat(50)}写真${"猫".repeat(50)}`, "写真", 8), "…猫猫猫[写真]猫猫猫…");
    assert.equal(show("😀".repeat(20), "x", 5), `${"😀".repeat(2)}…`);
  });

  test("is never longer than asked for, is part of the chunk, and its spans are in order within it", () => {
    const word = fc.constantFrom(
      "fire",
      "fires",
      "printer",
      "CVE-2025-1",
      "写真機",
      "😀",
      "x",
      "\n",
      ",",
      "a  b",
      "ｆｉｒｅ",
      "'",
    );
    const words = fc.array(word, { maxLength: 40 }).map((list) => list.join(" "));
    const anyText = fc.oneof(
      words,
      fc.string({ unit: "grapheme", maxLength: 80 }),
      fc.array(word).map((l) => l.join("")),
    );
    fc.assert(
      fc.property(anyText, words, fc.integer({ min: 1, max: 120 }), (chunk, query, characters) => {
        const { text, spans } = snippetOf(chunk, query, tokensOf, characters);
        const bare = text.replace(/^…|…$/g, "");
        assert.ok(chunk.includes("…") || bare.length <= characters);
        assert.ok(chunk.replace(/[\s\p{Cc}]+/gu, " ").includes(bare));
        assert.ok(text.isWellFormed());
        const queryTerms = new Set(tokensOf(query));
        let last = -1;
        for (const { start, end } of spans) {
          assert.ok(last < start && start < end && end <= text.length);
          assert.ok(tokensOf(text.slice(start, end)).some((term) => queryTerms.has(term)));
          last = end;
        }
        assert.equal(
          markSpans({ text, spans }, (word) => word),
          text,
        );
      }),
      { numRuns: RUNS },
    );
  });
});
