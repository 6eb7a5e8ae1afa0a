import assert from "node:assert/strict";
import { test } from "node:test";
import { LineError, lineText, readLines } from "@tidemark/protocol/lines";
import fc from "fast-check";

async function* inChunks(bytes: Uint8Array, sizes: number[]) {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function read(bytes: Uint8Array, ...sizes: number[]): Promise<[string | undefined, number][]> {
  const found: [string | undefined, number][] = [];
  for await (const lines of readLines(inChunks(bytes, sizes))) {
    for (const line of lines) found.push([lineText(line), line.number]);
  }
  return found;
}

test("lines end at line feeds and nowhere else, wherever the pieces are cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: fc.constantFrom("a", "é", "😀", "\u2028", "\r", " ") })),
      fc.boolean(),
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }),
      async (texts, ended, sizes) => {
        const bytes = Buffer.from(texts.join("\n") + (ended ? "\n" : ""));
        const expected = texts.map((text, i) => [text.trim() === "" ? undefined : text, i + 1]);
        // What comes after the last line feed is a line only if it is something.
        if (!ended && texts.at(-1) === "") expected.pop();
        if (texts.length > 0 || !ended) assert.deepEqual(await read(bytes, ...sizes), expected);
      },
    ),
  );
});

test("a line's bytes include its line feed, so that all together are the stream", async () => {
  const bytes = Buffer.from("a\n\n{}\r\nb");
  const found: Uint8Array[] = [];
  for await (const lines of readLines(inChunks(bytes, [2]))) found.push(...lines.map(({ bytes }) => bytes));
  assert.deepEqual(Buffer.concat(found), bytes);
  assert.equal(found.length, 4);
});

test("input that is not UTF-8 is refused with its line, also in one piece with others", async () => {
  for (const bad of ['{}\n{"a": "\xff"}\n{}', "{}\n{}\xc3", "{}\n\xc3\n\xbc\n"]) {
    for (const size of [4, 100]) {
      await assert.rejects(read(Buffer.from(bad, "latin1"), size), {
        message: "Line 2 is not valid UTF-8.",
      });
    }
  }
});

test("a line that is too long is refused before it is whole", async () => {
  const endless = async function* () {
    yield Buffer.from("a\n");
    for (;;) yield Buffer.from("aaaa");
  };
  const lines = readLines(endless(), 10);
  await lines.next();
  await assert.rejects(lines.next(), (error) => error instanceof LineError && error.line === 2);
});
