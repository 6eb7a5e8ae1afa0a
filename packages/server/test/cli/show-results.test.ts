import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SearchResponse } from "@tidemark/protocol/search";
import { describeResults } from "../../src/cli/show-results.ts";
import { analyzerFor } from "../../src/text/tokens.ts";

const tokensOf = await analyzerFor("english");
const mark = (word: string) => `[${word}]`;

function show(
  query: string,
  columns: number,
  ...results: Partial<SearchResponse["data"][number]>[]
): string[] {
  const data = results.map((result) => ({
    id: "a",
    namespace: "tasks",
    score: 1,
    text: "",
    synced_at: "2025-11-11T12:00:00.000Z",
    ...result,
  }));
  const answer: SearchResponse = {
    object: "search_results",
    mode: "lexical",
    data,
    indexing: { pending: 0 },
  };
  return describeResults(answer, { query, tokensOf, columns, mark });
}

describe("the results of a search", () => {
  test("are a table with marked matches, and a line with the pending records", () => {
    const lines = show(
      "zebras",
      120,
      { score: 12.3456, text: "A zebra\n\tand another zebra." },
      { id: "longer", namespace: "n", score: 0.016393, text: "Zebra" },
    );
    assert.deepEqual(lines, [
      "1  tasks  a         12.3  A [zebra] and another [zebra].",
      "2  n      longer  0.0164  [Zebra]",
      "2 records, lexical, 0 pending",
    ]);
    assert.deepEqual(show("zebra", 80), ["no records, lexical, 0 pending"]);
    assert.equal(show("zebra", 80, {}).at(-1), "1 record, lexical, 0 pending");
  });

  test("never exceed the terminal's width", () => {
    const long = `${"word ".repeat(100)}zebra ${"word ".repeat(100)}`;
    const wide = `${"東京都の天気".repeat(50)}動物園${"明日は晴れ".repeat(50)}`;
    for (const columns of [60, 80, 133]) {
      const [english] = show("zebra", columns, { text: long });
      const plain = english!.replaceAll(/[[\]]/g, "");
      assert.ok(plain.length <= columns && plain.length > columns - 15, `${plain.length} of ${columns}`);
      assert.match(english!, /… ?.*\[zebra\].*…/);
      const [japanese] = show("動物園", columns, { text: wide });
      const chunk = japanese!.replaceAll(/[[\]]/g, "").replace(/^.*1 {2}/, "");
      assert.ok(
        14 + 2 * chunk.length - 2 <= columns,
        `${chunk.length} wide characters of ${columns} columns`,
      );
      assert.ok(japanese!.includes("動物"), japanese);
    }
  });

  test("have the chunk on a line below if names leave too little room", () => {
    assert.deepEqual(show("zebra", 60, { id: "x".repeat(40), text: "A zebra." }), [
      `1  tasks  ${"x".repeat(40)}  1\n    A [zebra].`,
      "1 record, lexical, 0 pending",
    ]);
  });

  test("cannot control the terminal", () => {
    const evil = "\u001b[2J\r\n\u202e";
    const text = show("zebra", 200, { id: evil, namespace: evil, text: `zebra\u001b[2J\u0007` }).join("\n");
    for (const control of "\u001b\r\u0007\u202e") assert.equal(text.includes(control), false);
  });
});
