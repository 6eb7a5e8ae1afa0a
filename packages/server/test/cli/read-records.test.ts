import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { lineText, readLines } from "@tidemark/protocol/lines";
import fc from "fast-check";
import { readArrayItems, readJsonValue } from "../../src/cli/json-rows.ts";
import { readRecords } from "../../src/cli/read-records.ts";
import { temporaryFolder } from "../test-server.ts";

/** Divides a text into pieces, as a stream may. */
async function* pieces(text: string, size: number): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size);
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const values = fc.array(fc.jsonValue({ maxDepth: 3 }), { maxLength: 8 });
const size = fc.integer({ min: 1, max: 30 });
const spacing = fc.constantFrom("", " ", "\n", "\t  ");

describe("rows of JSON", () => {
  test("are the items of an array, however it is spaced or divided into pieces", async () => {
    await fc.assert(
      fc.asyncProperty(values, size, spacing, fc.constantFrom(0, 2), async (values, size, space, indent) => {
        const items = values.map((value) => space + JSON.stringify(value, null, indent) + space);
        const texts = await all(readArrayItems(pieces(`${space}[${items.join(",")}]${space}`, size)));
        assert.deepEqual(texts.map(readJsonValue), JSON.parse(JSON.stringify(values)));
      }),
    );
  });

  test("are the lines of a text, however it is divided into pieces", async () => {
    await fc.assert(
      fc.asyncProperty(values, size, fc.constantFrom("\n", "\r\n", "\n\n"), async (values, size, end) => {
        const text = values.map((value) => JSON.stringify(value)).join(end);
        const bytes = async function* () {
          for await (const piece of pieces(text, size)) yield Buffer.from(piece);
        };
        const lines = (await all(readLines(bytes()))).flat().filter((line) => lineText(line) !== undefined);
        assert.deepEqual(
          lines.map((line) => readJsonValue(lineText(line)!)),
          JSON.parse(JSON.stringify(values)),
        );
        assert.deepEqual(
          lines.map(({ number }) => number),
          values.map((_, i) => 1 + i * (end === "\n\n" ? 2 : 1)),
        );
      }),
    );
  });

  test("keep every number that a double can hold, and reject all others", () => {
    for (const text of [
      "0.1",
      "1.0",
      "1e3",
      "123456789012345680000",
      "-0.0",
      "1.7976931348623157e308",
      "5E-324",
    ]) {
      assert.equal(readJsonValue(text), Number(text));
    }
    for (const text of [
      "9007199254740993",
      "1e400",
      "-9007199254740993.0",
      "0.1000000000000000055",
      "1e-400",
    ]) {
      assert.throws(() => readJsonValue(`{"n": [${text}]}`), /cannot be kept exactly/, text);
    }
    const inText = '{"n": "9007199254740993 1e400", "\\n": 12345678901234567000}';
    assert.deepEqual(readJsonValue(inText), { n: "9007199254740993 1e400", "\n": 12345678901234567000 });
  });
});

describe("a file that cannot be read as records", () => {
  const cases: [name: string, content: string | Uint8Array, message: RegExp][] = [
    ["no-id.ndjson", '{"id": "a"}\n{"name": "b"}\n', /^line 2: .*"id"/],
    ["inherited.ndjson", '{"toString": 1}', /^line 1: .*"toString"|"id"/],
    ["empty-id.ndjson", '{"id": ""}', /^line 1: /],
    ["null.ndjson", "\n\nnull\n", /^line 3: The row is not an object/],
    ["list.ndjson", "[1]\n", /^line 1: The row is not an object/],
    ["broken.ndjson", '{"id": "a"}\n{"id": \n', /^line 2: /],
    [
      "large.ndjson",
      '{"id": "a", "n": 9007199254740993}\n',
      /^line 1: 9007199254740993 cannot be kept exactly/,
    ],
    ["huge.json", '[{"id": "a", "n": 1e400}]', /^item 1: 1e400 cannot/],
    ["object.json", '{"id": "a"}', /not one JSON array/],
    ["short.json", '[{"id": "a"}', /does not end/],
    ["wrong-end.json", '[{"id": "a"}}', /not one JSON array/],
    ["crossed.json", '[{"id": "a"]]', /^item 1: /],
    ["two.json", "[] []", /not one JSON array/],
    ["comma.json", '[{"id": "a"},]', /^item 2: /],
    ["first-comma.json", '[,{"id": "a"}]', /^item 1: /],
    ["columns.csv", "id,a,a\n1,2,3\n", /Two columns are named "a"/],
    ["short.csv", "id,a\n1\n", /line 2/],
    ["quote.csv", 'id,a\n1,"b\n', /line/],
    ["latin.csv", Buffer.from("id,name\n1,M\xfcller\n", "latin1"), /not valid/],
    ["latin.ndjson", Buffer.from('{"id": "M\xfcller"}\n', "latin1"), /not valid/],
    ["cut.ndjson", Buffer.from([0x7b, 0x22, 0xc3]), /not valid/],
  ];
  for (const [name, content, message] of cases) {
    test(`is rejected with the place of the fault: ${name}`, async (t) => {
      const path = join(await temporaryFolder(t), name);
      await writeFile(path, content);
      await assert.rejects(all(readRecords(path, "id").records), { message });
    });
  }

  test("is rejected before it is read if its format is unknown", async (t) => {
    const path = join(await temporaryFolder(t), "rows.txt");
    await writeFile(path, '{"id": "a"}');
    assert.throws(() => readRecords(path, "id"), /--format/);
    assert.deepEqual(await all(readRecords(path, "id", "ndjson").records), [{ id: "a", data: { id: "a" } }]);
  });
});

test("a file reports how much of it was read", async (t) => {
  const path = join(await temporaryFolder(t), "rows.csv");
  const content = `id\n${Array.from({ length: 50_000 }, (_, n) => `ü${n}\n`).join("")}`;
  await writeFile(path, content);
  const file = readRecords(path, "id");
  assert.equal(file.bytes, Buffer.byteLength(content));
  const [first] = [await file.records.next()];
  assert.deepEqual(first.value, { id: "ü0", data: { id: "ü0" } });
  assert.ok(file.bytesRead() > 0 && file.bytesRead() < file.bytes!);
  assert.equal((await all(file.records)).length, 49_999);
  assert.equal(file.bytesRead(), file.bytes);
});
