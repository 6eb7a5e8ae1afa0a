import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ExportHeader, readExport } from "../../src/transfer/format.ts";
import { engines } from "../engines.ts";
import { exportToBuffer, inPieces, openRichLedger } from "./rich-ledger.ts";

const [sqlite] = engines;

/** Reads an export to its end. @returns the number of rows, and the error */
async function read(bytes: Uint8Array, size?: number): Promise<{ rows: number; error: string | undefined }> {
  let rows = 0;
  try {
    for await (const event of readExport(inPieces(bytes, size))) {
      if (event.type === "page") rows += event.rows.length;
    }
    return { rows, error: undefined };
  } catch (error) {
    return { rows, error: (error as Error).message };
  }
}

const linesOf = (bytes: Buffer) => bytes.toString().trimEnd().split("\n");
const joined = (lines: string[]) => Buffer.from(`${lines.join("\n")}\n`);
const lineNumber = (message: string | undefined) =>
  Number(/^Line (\d+) of the export /.exec(message ?? "")?.[1]);

test("an export reads the same in pieces of any size", async (t) => {
  const bytes = await exportToBuffer((await openRichLedger(t, sqlite!)).storage);
  const whole = await read(bytes, bytes.length);
  assert.ok(whole.rows > 50);
  for (const size of [1, 7, 4096]) assert.deepEqual(await read(bytes, size), whole);
});

test("a changed byte is detected anywhere", async (t) => {
  const bytes = await exportToBuffer((await openRichLedger(t, sqlite!)).storage);
  const change = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }));
  await fc.assert(
    fc.asyncProperty(change, async ([at, mask]) => {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= mask;
      const { error } = await read(damaged, damaged.length);
      assert.match(error ?? "no error", /^(Line \d+ of the export |The export was written by )/);
    }),
    { numRuns: 300 },
  );
});

test("the error names the line of a damaged row, and no row of its page is returned", async (t) => {
  const lines = linesOf(await exportToBuffer((await openRichLedger(t, sqlite!)).storage));
  const page = lines.findIndex((line) => line.startsWith('{"page":"records"'));
  const { rows } = JSON.parse(lines[page]!);
  const before = (await read(joined(lines.slice(0, page)))).rows;
  const row = lines[page + 3]!;
  const changed = await read(
    joined(
      lines.with(
        page + 3,
        row.replace(/\d\]$/, (end) => (end === "1]" ? "2]" : "1]")),
      ),
    ),
  );
  assert.equal(changed.rows, before);
  const named = lineNumber(changed.error);
  assert.ok(named <= page + 4 && named + rows > page + 4, changed.error);
  for (const broken of ["[1,2", "{}", '["tasks"]', "null"]) {
    const { error } = await read(joined(lines.with(page + 3, broken)));
    assert.equal(error, `Line ${page + 4} of the export is damaged.`);
  }
});

test("a file that is cut off anywhere is rejected", async (t) => {
  const bytes = await exportToBuffer((await openRichLedger(t, sqlite!)).storage);
  const lines = linesOf(bytes);
  for (let count = 0; count < lines.length; count++) {
    const { error } = await read(count === 0 ? Buffer.alloc(0) : joined(lines.slice(0, count)));
    assert.match(error!, /^Line \d+ of the export is missing or incomplete: the file is cut off/);
    assert.equal(lineNumber(error), count + 1);
  }
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: bytes.length - 1 }), async (length) => {
      assert.match((await read(bytes.subarray(0, length))).error!, /the file is cut off/);
    }),
    { numRuns: 50 },
  );
});

test("a missing, repeated or moved line is detected", async (t) => {
  const lines = linesOf(await exportToBuffer((await openRichLedger(t, sqlite!)).storage));
  await fc.assert(
    fc.asyncProperty(fc.nat(lines.length - 1), fc.nat(lines.length - 1), async (from, to) => {
      const without = lines.toSpliced(from, 1);
      assert.ok((await read(joined(without))).error, "missing");
      assert.ok((await read(joined(lines.toSpliced(from, 0, lines[from]!)))).error, "repeated");
      const moved = without.toSpliced(to, 0, lines[from]!);
      if (moved.some((line, index) => line !== lines[index]))
        assert.ok((await read(joined(moved))).error, "moved");
    }),
    { numRuns: 100 },
  );
});

test("the header of another version's export is rejected, and so is the first line of any other file", async (t) => {
  const [first, ...rest] = linesOf(await exportToBuffer((await openRichLedger(t, sqlite!)).storage));
  const header: ExportHeader = JSON.parse(first!);
  const changes: Partial<ExportHeader>[] = [
    { tidemark_export: 2 },
    { schema: header.schema + 1 },
    { tables: { ...header.tables, records: [...header.tables.records!, "new_column"] } },
    { tables: { ...header.tables, new_table: ["id"] } },
  ];
  for (const change of changes) {
    const { rows, error } = await read(
      joined([JSON.stringify({ ...header, ...change, version: "9.9" }), ...rest]),
    );
    assert.equal(rows, 0);
    assert.match(
      error!,
      /^The export was written by Tidemark 9\.9 .*Export and import with the same version\.$/,
    );
  }
  for (const line of ["{}", "hello", "[]", '{"id":"a","text":"a record"}']) {
    const { error } = await read(joined([line, ...rest]));
    assert.equal(error, "Line 1 of the export is not the header of a Tidemark export.");
  }
});
