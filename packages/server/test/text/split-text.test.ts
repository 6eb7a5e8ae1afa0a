import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { type ChunkOptions, type SectionChunk, splitText } from "../../src/text/split-text.ts";
import { countTokens } from "../../src/text/token-count.ts";
import { LONG } from "../long.ts";

const RUNS = LONG ? 10_000 : 500;

const split = (text: string, options: Partial<ChunkOptions> = {}): SectionChunk[] =>
  splitText([{ label: "", text }], {
    tokens: 300,
    overlap: 0,
    maxChunks: Number.POSITIVE_INFINITY,
    ...options,
  });

/** A text without white space and control characters, which separate words. */
const bare = (text: string) => text.replace(/[\s\p{Cc}]+/gu, "");
const joined = (chunks: SectionChunk[]) => bare(chunks.map(({ text }) => text).join(""));

/** Makes texts that are the same in every run (mulberry32). */
function writer(seed: number) {
  let state = seed;
  const random = (below: number) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
  const repeat = (least: number, most: number, make: () => string, separator: string) =>
    Array.from({ length: least + random(most - least + 1) }, make).join(separator);
  const letter = () => String.fromCharCode(97 + random(26));
  const word = () => repeat(2, 9, letter, "");
  const sentence = () => `${letter().toUpperCase()}${repeat(5, 20, word, " ")}.`;
  const paragraph = () => repeat(1, 6, sentence, " ");
  const heading = () => `## ${repeat(1, 3, word, " ")}`;
  return { random, word, sentence, paragraph, heading };
}

/** Counts the chunks of an edited text that the original text does not have. */
function changeCounter(before: string): (after: string) => number {
  const saying = ({ context, text }: SectionChunk) => `${context}\n${text}`;
  const known = new Set(split(before).map(saying));
  return (after) => split(after).filter((chunk) => !known.has(saying(chunk))).length;
}

const EDITED: [name: string, separator: string, make: (of: ReturnType<typeof writer>) => string][] = [
  ["paragraphs", "\n\n", (of) => of.paragraph()],
  ["sentences of one paragraph", " ", (of) => of.sentence()],
  ["lines of a list", "\n", (of) => `- ${of.sentence()}`],
  ["paragraphs under headings", "\n\n", (of) => of.paragraph()],
];

for (const [name, separator, make] of EDITED) {
  test(`an edit of one of 250 ${name} changes at most 3 chunks`, () => {
    for (const seed of [1, 2]) {
      const of = writer(seed);
      const isHeading = (i: number) => name.endsWith("headings") && i % 7 === 3;
      const pieces = Array.from({ length: 250 }, (_, i) => (isHeading(i) ? of.heading() : make(of)));
      assert.ok(split(pieces.join(separator)).length > 10);
      const countChanges = changeCounter(pieces.join(separator));
      const counts: number[] = [];
      for (let i = 0; i < pieces.length; i += 3) {
        if (isHeading(i)) continue;
        const edits = [pieces.with(i, make(of)), pieces.toSpliced(i, 1), pieces.toSpliced(i, 0, make(of))];
        counts.push(...edits.map((edited) => countChanges(edited.join(separator))));
      }
      assert.ok(Math.max(...counts) <= 3, `changed chunks: ${counts}`);
      assert.ok(counts.filter((count) => count <= 1).length > counts.length / 2, `changed chunks: ${counts}`);
    }
  });
}

test("an edit of a random text changes chunks near it only", () => {
  const letters = fc.constantFrom(..."abcdefgh .\n");
  const paragraph = fc.string({ unit: letters, minLength: 1, maxLength: 900, size: "max" });
  const paragraphs = fc.array(paragraph, { minLength: 40, maxLength: 60, size: "max" });
  fc.assert(
    fc.property(paragraphs, paragraph, fc.nat(), (all, other, at) => {
      const after = all.toSpliced(at % all.length, at % 2, other);
      assert.ok(changeCounter(all.join("\n\n"))(after.join("\n\n")) <= 6);
    }),
    { numRuns: RUNS / 10, endOnFailure: true },
  );
});

test("boundaries never move, because moving them embeds everything again", () => {
  const of = writer(3);
  const pieces = Array.from({ length: 120 }, (_, i) => (i % 9 === 5 ? of.heading() : of.paragraph()));
  const chunks = split(`${pieces.join("\n\n")} ${"日本語の文章。".repeat(200)} ${"x".repeat(9000)}`);
  assert.equal(hash("sha256", JSON.stringify(chunks)).slice(0, 16), "0ca9c486e73a28b8");
});

const anyText = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.stringMatching(/^[a-z]{1,12}$/) },
      {
        weight: 2,
        arbitrary: fc.constantFrom(
          " ",
          "\n",
          "\n\n",
          ". ",
          "! ",
          "\n# ",
          "\n### ",
          "\n- ",
          "\n```\n",
          "\n---\n",
        ),
      },
      fc.string({ unit: "grapheme", maxLength: 20 }),
      fc.string({ unit: "binary", maxLength: 20 }).filter((text) => text.isWellFormed()),
      fc.stringMatching(/^[一-龥。、]{1,80}$/),
      fc.constantFrom(
        "👩‍👩‍👧",
        "e\u0301",
        "𠮷",
        "x".repeat(200),
        "a.".repeat(50),
        "#".repeat(9),
        "=".repeat(9),
      ),
    ),
    { maxLength: 400, size: "max" },
  )
  .map((pieces) => pieces.join(" "));

test("no text is lost, moved or repeated, and no chunk has more than twice the size", () => {
  fc.assert(
    fc.property(anyText, fc.constantFrom(32, 50, 300), (text, tokens) => {
      const chunks = split(text, { tokens });
      assert.equal(joined(chunks), bare(text));
      for (const chunk of chunks) {
        const all = `${chunk.context}\n${chunk.text}`;
        assert.ok(countTokens(all) <= 2 * tokens * 10, `${countTokens(all) / 10} tokens`);
        assert.ok(all.isWellFormed());
        assert.equal(chunk.text, chunk.text.trimEnd());
        assert.notEqual(chunk.text, "");
      }
    }),
    { numRuns: RUNS },
  );
});

test("an overlap repeats whole words of the chunk before, within its limit of tokens", () => {
  const separators = fc.array(fc.constantFrom(" ", " ", " ", ". ", "\n", "\n\n", "\n# ", "、"), {
    maxLength: 900,
    size: "max",
  });
  fc.assert(
    fc.property(separators, fc.constantFrom(5, 20, 49), (between, overlap) => {
      const text = between.map((separator, i) => `Word${i}${separator}`).join("");
      let end = 0;
      let least = 0;
      for (const chunk of split(text, { tokens: 100, overlap })) {
        const start = text.indexOf(chunk.text);
        assert.notEqual(start, -1, "a chunk is a piece of the text");
        assert.match(chunk.text, /^[\s#]*(Word|、)/);
        assert.ok(countTokens(chunk.text) <= 2000);
        const repeated = countTokens(text.slice(start, end));
        assert.ok(repeated <= overlap * 10 && repeated >= least, `${repeated / 10} tokens`);
        assert.equal(bare(text.slice(end, start)), "", "nothing lies between chunks");
        end = start + chunk.text.length;
        // An overlap repeats as much as fits; of a short chunk, that is all of it.
        least = Math.min((overlap - 4) * 10, countTokens(chunk.text));
      }
      assert.equal(bare(text.slice(end)), "");
    }),
    { numRuns: RUNS },
  );
});

test("large texts without good breaks are split in one pass", () => {
  const texts: Record<string, string> = {
    "no spaces": "a".repeat(2_000_000),
    Chinese: "汉字测试".repeat(300_000),
    "short sentences": "A. ".repeat(300_000),
    "one word": "word ".repeat(200_000),
    "empty lines": `${"\n".repeat(1_000_000)}x`,
    spaces: `a${" ".repeat(1_000_000)}x`,
    headings: "# x\n".repeat(200_000),
    "a heading of marks": `# ${"# ".repeat(500_000)}x`,
    fences: "```\n".repeat(100_000),
    dots: ".)".repeat(300_000),
    marks: `e${"\u0301".repeat(500_000)}`,
  };
  for (const [name, text] of Object.entries(texts)) {
    const chunks = split(text);
    assert.ok(joined(chunks) === bare(text), name);
    const largest = Math.max(...chunks.map((chunk) => countTokens(chunk.text)));
    assert.ok(largest <= 6000 || name === "marks", `${name}: ${largest / 10} tokens`);
  }
});

test("chunks begin at headings or paragraphs, not within them", () => {
  const of = writer(5);
  const pieces = Array.from({ length: 200 }, (_, i) => (i % 5 === 0 ? of.heading() : of.paragraph()));
  const chunks = split(pieces.join("\n\n"));
  const begins = chunks.map(({ text }) => text.split("\n")[0]!);
  assert.ok(begins.filter((line) => line.startsWith("## ")).length > chunks.length / 2);
  for (const line of begins) assert.ok(pieces.includes(line), line);
});

test("no chunk ends with a heading", () => {
  for (let seed = 0; seed < 50; seed++) {
    const of = writer(seed);
    const pieces = Array.from({ length: 60 }, () => (of.random(3) === 0 ? of.heading() : of.paragraph()));
    const text = `${pieces.join("\n\n")}\n\n${of.paragraph()}`;
    for (const chunk of split(text, { tokens: 80 })) {
      assert.ok(!chunk.text.split("\n").at(-1)!.startsWith("#"), chunk.text);
    }
  }
});

test("underlined lines are headings, and code is not", () => {
  const filler = () => of.paragraph();
  const of = writer(6);
  const paragraphs = (count: number) => Array.from({ length: count }, filler).join("\n\n");
  const text = `Top\n===\n\n${paragraphs(20)}\n\n\`\`\`sh\n# not a heading\n\`\`\`\n\n${paragraphs(20)}\n\nLow\n---\n\n${paragraphs(30)}`;
  const contexts = new Set(split(text).map(({ context }) => context));
  assert.deepEqual([...contexts].sort(), ["", "Top", "Top › Low"]);
});

test("a context has the nearest headings that fit, without the title", () => {
  const of = writer(7);
  const body = Array.from({ length: 30 }, () => of.paragraph()).join("\n\n");
  const long = Array.from({ length: 28 }, () => of.word()).join(" ");
  const last = (text: string, title = "") => split(text, { title }).at(-1)!.context;
  assert.equal(last(`# One\n\n## Two\n\n${body}`), "One › Two");
  assert.equal(last(`# One\n\n## Two\n\n${body}`, "One"), "Two");
  assert.equal(last(`# ${long}\n\n## Two\n\n${body}`), "Two");
  assert.equal(last(`# One\n\n## ${long} ${long}\n\n${body}`), "One");
  assert.equal(last(`# One #\n\n### Three ###\n\n## Two\n\n${body}`), "One › Two");
});

test("long sections are split separately, into at most `maxChunks` chunks", () => {
  const of = writer(8);
  const sections = ["a", "b", "c"].map((label) => ({
    label,
    text: Array.from({ length: 40 }, () => `${of.paragraph()} `).join("\n\n"),
  }));
  const chunks = splitText(sections, { tokens: 300, overlap: 40, maxChunks: 1000 });
  for (const { text } of sections) {
    assert.ok(chunks.some((chunk) => chunk.context === "" && text.startsWith(chunk.text.slice(0, 300))));
  }
  for (const { context, text } of chunks) {
    const inside = sections.filter((section) => section.text.includes(text.slice(-60)));
    assert.deepEqual(context === "" ? [] : inside.map(({ label }) => label), context === "" ? [] : [context]);
  }
  const first = splitText(sections, { tokens: 300, overlap: 40, maxChunks: 7 });
  assert.deepEqual(first, chunks.slice(0, 7));
});

test("the token count is close to that of models", () => {
  const counts: [text: string, tokens: number][] = [
    ["", 0],
    ["one two  three\n", 3.9],
    ["日本語", 3],
    ["한국어 문장", 5],
    ["𠮷👍", 2],
    ["antidisestablishment", 1.3 + 8 * 0.3],
    ["f(x)", 1.3 + 0.5 + 0.5],
  ];
  for (const [text, tokens] of counts) assert.equal(countTokens(text) / 10, tokens, text);
  const text = "word ".repeat(50) + "x".repeat(100);
  for (const at of [3, 7, 100, 260, 300]) {
    const apart = countTokens(text, 0, at) + countTokens(text, at);
    assert.ok(Math.abs(apart - countTokens(text)) <= 36, `cut at ${at}`);
  }
});
