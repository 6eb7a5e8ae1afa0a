import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { chunkRecord } from "../../src/text/record-text.ts";
import { readTextSettings } from "../../src/text/settings.ts";
import { countTokens } from "../../src/text/token-count.ts";
import { LONG } from "../long.ts";

const RUNS = LONG ? 1000 : 60;

type Data = Record<string, unknown>;
const chunks = (data: Data, settings: object = {}) => chunkRecord(data, readTextSettings({ ...settings }));

/** The text and words of a record that has one chunk. */
function chunk(data: Data, settings: object = {}): { text: string; words: string } {
  const [first, ...others] = chunks(data, settings);
  assert.deepEqual(others, []);
  return { text: first!.text, words: first!.words };
}
const textOf = (data: Data, settings?: object) => chunk(data, settings).text;
const wordsOf = (data: Data, settings?: object) => chunk(data, settings).words;

const sentences = (count: number) =>
  Array.from({ length: count }, (_, i) => `Sentence ${i} says what number ${i * 7} is good for.`).join(" ");

test("a record is its title, its fields in lines with their paths, its long texts, and a body without a label", () => {
  const steps = sentences(6);
  const data = {
    assignee: { name: "Ada Lovelace", team: "Engines" },
    body: "The printer is on fire.\n\nPlease help.",
    comments: [
      { author: "Bob", votes: 3 },
      { author: "Cem", votes: 5 },
      { author: "Bob", votes: 5 },
    ],
    created_at: "2025-11-11T10:30:00Z",
    id: "task_123",
    priority: 3,
    steps,
    tags: ["hardware", "urgent"],
    title: " Printer\non fire ",
    urgent: true,
    vip: false,
  };
  assert.deepEqual(chunks(data), [
    {
      title: "Printer on fire",
      text: [
        "Printer on fire",
        "assignee.name: Ada Lovelace",
        "assignee.team: Engines",
        "comments.author: Bob, Cem",
        "id: task_123",
        "tags: hardware, urgent",
        "",
        `steps: ${steps}`,
        "",
        "The printer is on fire.",
        "",
        "Please help.",
      ].join("\n"),
      words: "votes 3 5 5 created_at 2025-11-11T10:30:00Z priority 3 urgent true",
    },
  ]);
});

test("the title is found by name: the likeliest name, or the only one with a title's ending", () => {
  const cases: [data: Data, title: string][] = [
    [{ name: "n", subject: "s", summary: "u", title: "t" }, "t"],
    [{ Name: "n", Subject: "s" }, "n"],
    [{ display_name: "d", headline: "h" }, "h"],
    [{ vulnerabilityName: "v", vendor: "w" }, "v"],
    [{ ticket_title: "t", a: "b" }, "t"],
    [{ title: "", name: "n" }, "n"],
    [{ title: "8f14e45f-ceea-467f-a0e6-1b2c3d4e5f60", name: "n" }, "n"],
    [{ title: 5, subject: "s" }, "s"],
    [{ title: "t".repeat(301), name: "n" }, "n"],
  ];
  for (const [data, title] of cases) {
    assert.equal(textOf(data).split("\n")[0], title, JSON.stringify(data));
  }
  const untitled: Data[] = [
    { first_name: "f", last_name: "l" },
    { username: "u", other: "o" },
    { nested: { title: "t" } },
    { constructor: "c", toString: "s" },
  ];
  for (const data of untitled) assert.match(textOf(data), /^\w[\w.]*: /, JSON.stringify(data));
  assert.equal(
    textOf({ code: "c", first_name: "f", last_name: "l" }),
    "first_name: f\nlast_name: l\ncode: c",
  );
});

test("the title is at `title_field`, and otherwise found by name", () => {
  const data = { fields: { summary: "Nested", key: 7 }, title: "By name", "a.b": "dotted" };
  assert.match(textOf(data, { title_field: "fields.summary" }), /^Nested\n/);
  assert.match(textOf(data, { title_field: "fields.key" }), /^7\n/);
  assert.match(textOf(data, { title_field: "a.b" }), /^dotted\n/);
  for (const title_field of ["fields", "nothing", "__proto__", "fields.summary.x"]) {
    assert.match(textOf(data, { title_field }), /^By name\n/, title_field);
  }
  assert.equal(textOf({ a: [{ t: "one" }, { t: "two" }], b: "c" }, { title_field: "a.t" }), "one\nb: c");
  assert.equal(textOf({ a: "only" }, { title_field: "a", text_fields: [] }), "only");
  assert.deepEqual(chunks({ a: "only" }, { title_field: "a", metadata_fields: ["a"] }), []);
});

test("a title that is too long is cut on each chunk and shown once in full", () => {
  const title = sentences(20);
  const all = chunks({ title, body: sentences(60) }, { title_field: "title", chunk_tokens: 100 });
  assert.ok(all.length > 5);
  const line = all[0]!.text.split("\n")[0]!;
  assert.ok(countTokens(line) <= 250 && title.startsWith(`${line} `), line);
  for (const { text } of all) assert.ok(text.startsWith(`${line}\n`));
  assert.ok(
    all
      .map(({ text }) => text.slice(line.length + 1))
      .join(" ")
      .replace(/title\n/g, "")
      .includes("Sentence 19 says"),
  );
});

test("only text_fields and their members are searched; metadata_fields are not", () => {
  const data = {
    a: { b: "ab", c: [{ d: "acd", n: 1 }] },
    "a.x": "ax",
    ab: "ab2",
    n: 2,
    title: "t",
  };
  const both = (settings: object) => chunk(data, settings);
  assert.deepEqual(both({ text_fields: ["a"] }), { text: "t\na.b: ab\na.c.d: acd", words: "n 1" });
  assert.deepEqual(both({ text_fields: ["a.c.d", "a.x"] }), { text: "t\na.c.d: acd\na.x: ax", words: "" });
  assert.deepEqual(both({ text_fields: ["n"] }), { text: "t", words: "n 2" });
  assert.deepEqual(both({ text_fields: [] }), { text: "t", words: "" });
  assert.deepEqual(both({ metadata_fields: ["a", "title"] }), { text: "a.x: ax\nab: ab2", words: "n 2" });
  assert.deepEqual(both({ metadata_fields: ["a.c"], text_fields: ["a"] }), { text: "t\na.b: ab", words: "" });
  assert.deepEqual(chunks(data, { metadata_fields: ["title"], text_fields: [] }), []);
});

test("numbers, dates, URLs and hashes are words, so changing them changes no text", () => {
  const data = (i: number) => ({
    title: "t",
    count: i,
    price: 19.99 + i,
    synced_at: `2025-01-0${i}T00:00:00Z`,
    url: `https://example.com/${i}`,
    uuid: `8f14e45f-ceea-467f-a0e6-1b2c3d4e5f6${i}`,
    done: i > 1,
    phone: `+49 30 ${i}`,
  });
  assert.equal(textOf(data(1)), textOf(data(2)));
  assert.equal(
    wordsOf(data(1)),
    "count 1 price 20.99 synced_at 2025-01-01T00:00:00Z url https://example.com/1 uuid 8f14e45f-ceea-467f-a0e6-1b2c3d4e5f61 phone +49 30 1",
  );
  assert.match(wordsOf(data(2)), /done true/);
});

test("a record with only words has one chunk without text; one with neither has no chunk", () => {
  assert.deepEqual(chunks({ priority: 3 }), [{ title: "", text: "", words: "priority 3" }]);
  for (const data of [{}, { a: null, b: "", c: [], d: {}, e: "  ", f: false, g: "---" }]) {
    assert.deepEqual(chunks(data), []);
  }
});

test("every chunk of a long record has the title and its headings; the first chunk has the words", () => {
  const body = [
    "# Guide",
    sentences(10),
    "## Install",
    sentences(15),
    "### On Linux",
    sentences(30),
    "## Use",
    sentences(20),
  ].join("\n\n");
  const all = chunks({ title: "Manual", notes: sentences(30), body, version: 3 }, { chunk_tokens: 100 });
  assert.ok(all.length > 10);
  for (const [i, { text, words }] of all.entries()) {
    assert.ok(text.startsWith("Manual\n"));
    assert.equal(words, i === 0 ? "version 3" : "");
  }
  const second = all.map(({ text }) => text.split("\n")[1]!);
  assert.ok(second.includes("notes"), "a field's label stands above its later chunks");
  assert.ok(second.includes("Guide › Install › On Linux"), "headings stand above what is below them");
  assert.ok(!second.some((line) => line.includes("On Linux › ") || line.includes("Install › Use")));
});

test("strings of an array are one field: short ones in a line without repetitions, long ones line by line", () => {
  assert.equal(textOf({ tags: ["a", "b", "a"] }), "tags: a, b");
  const [first, second] = [sentences(2), sentences(3)];
  assert.equal(textOf({ c: [{ note: first }, { note: second }] }), `c.note:\n${first}\n${second}`);
  const rich = {
    content: [
      { text: "The app", type: "text" },
      { text: "The app", type: "text" },
    ],
  };
  assert.equal(textOf({ doc: rich }), "doc.content.type: text\n\ndoc.content.text:\nThe app\nThe app");
  assert.equal(wordsOf({ counts: [1, 2, [3]] }), "counts 1 2 3");
});

test("HTML becomes text, and files embedded in texts are left out", () => {
  assert.equal(
    textOf({ title: "t", body: "<p>One &amp; <b>two</b></p><p>Three</p>" }),
    "t\nOne & two\n\nThree",
  );
  assert.equal(
    textOf({ body: "See ![x](data:image/png;base64,QUJDRA==) there.\r\nEnd" }),
    "See ![x]() there.\nEnd",
  );
  assert.equal(textOf({ title: "t", photo: `data:image/png;base64,${"QUJD".repeat(100)}` }), "t");
});

test("content beyond the limits is left out, and the rest is searched", () => {
  const vector = Array.from({ length: 1536 }, (_, i) => i / 7);
  assert.deepEqual(chunk({ title: "t", vector, after: "a" }), { text: "t\nafter: a", words: "" });

  const flags = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`flag${i}`, i]));
  assert.ok(wordsOf(flags).length <= 10_000);
  assert.match(wordsOf(flags), /^flag0 0 flag1 1 /);

  const long = chunks({ title: "t", body: "word ".repeat(900_000) });
  assert.equal(long.length, 2000);
  assert.ok(chunks({ list: Array.from({ length: 200_000 }, (_, i) => `item${i}`) }).length > 100);

  let deep: unknown = "bottom";
  for (let i = 0; i < 60; i++) deep = { [`level${i}`]: deep };
  assert.match(textOf({ deep }), /bottom$/);
  for (let i = 0; i < 10_000; i++) deep = [{ x: deep }];
  assert.equal(textOf({ top: "t", deep }), "top: t");

  const key = "📚".repeat(300);
  assert.equal(textOf({ [key]: "value" }), `${"📚".repeat(50)}: value`);
  const title = `x${"📚".repeat(200)}`;
  const [titled] = chunks({ t: title }, { title_field: "t", chunk_tokens: 2000 });
  assert.equal(titled!.text, `x${"📚".repeat(149)}\nt: ${title}`);
});

test("chunks are at most twice the size, well-formed and deterministic", () => {
  const word = fc.oneof(
    { weight: 8, arbitrary: fc.stringMatching(/^[a-z]{1,12}$/) },
    fc.string({ unit: "grapheme", maxLength: 12 }),
    fc.constantFrom(
      "日本語の文章",
      "# ",
      "\n",
      "\n\n",
      "📚",
      "https://x.y/z",
      "2025-01-01",
      "word.",
      "Next!",
    ),
  );
  const text = fc.array(word, { maxLength: 150, size: "max" }).map((words) => words.join(" "));
  const scalar = fc.oneof({ weight: 5, arbitrary: text }, fc.double(), fc.boolean(), fc.constant(null));
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      scalar,
      fc.array(tie("tree"), { maxLength: 5 }),
      fc.dictionary(fc.oneof(fc.constantFrom("title", "body", "name"), fc.string()), tie("tree"), {
        maxKeys: 6,
      }),
    ),
  }));
  const record = fc.dictionary(fc.constantFrom("title", "name", "body", "description", "a", "b", "c"), tree);
  const settings = fc.constantFrom<object>(
    { chunk_tokens: 32 },
    { chunk_tokens: 32, chunk_overlap: 15 },
    { chunk_tokens: 60, title_field: "a" },
    {},
  );
  fc.assert(
    fc.property(record, settings, (data, set) => {
      const made = chunks(data, set);
      const { chunk_tokens } = readTextSettings({ ...set });
      for (const { text, words } of made) {
        assert.ok(countTokens(text) <= 2 * chunk_tokens * 10, `${countTokens(text) / 10} tokens: ${text}`);
        assert.ok(text.isWellFormed() && words.isWellFormed());
        assert.equal(text, text.trimEnd());
      }
      assert.deepEqual(chunks(structuredClone(data), set), made);
    }),
    { numRuns: RUNS, endOnFailure: true },
  );
});
