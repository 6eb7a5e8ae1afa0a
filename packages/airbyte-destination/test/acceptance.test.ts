import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { canonicalJson } from "@tidemark/protocol/canonical-json";
import { parseJson } from "@tidemark/protocol/parse-json";
import { runWrite, startServer } from "./destination.ts";

const { newStore } = await startServer();
const read = (name: string) => readFileSync(new URL(`messages/${name}`, import.meta.url), "utf8");

/** Message files like those with which Airbyte tests its own destinations. */
const CASES: [file: string, states: number, statement: string][] = [
  ["exchange_rate", 1, "all records without a key are stored"],
  ["exchange_rate_dedup", 1, "the last record of each key is stored"],
  ["edge_case", 1, "unusual names, keys and strings are stored unchanged"],
  ["namespaces", 1, "streams of the same name in several namespaces do not mix"],
  ["data_types", 1, "every type is stored exactly, numbers that a double cannot hold as strings"],
  ["interleaved", 6, "interleaved streams with states and deletes do not mix"],
  ["no_data", 1, "streams without records write nothing"],
];

/** The records in one order, whatever order they arrived in. */
const sorted = (records: unknown[]) => records.map(canonicalJson).sort();

for (const [file, states, statement] of CASES) {
  for (const batchRecords of [5000, 3]) {
    test(`${file}, ${batchRecords} records a request: ${statement}`, async (t) => {
      const { config, everything } = await newStore();
      const lines = read(`${file}.jsonl`).split("\n");
      const result = await runWrite(
        t,
        { ...config, batch_records: batchRecords },
        read(`${file}.catalog.json`),
        lines,
      );
      assert.deepEqual([result.code, result.errors, result.stderr], [0, [], ""]);
      assert.equal(result.states.length, states);
      const expected = parseJson(read(`${file}.expected.json`)) as Record<string, unknown[]>;
      const stored = await everything();
      assert.deepEqual(Object.keys(stored).sort(), Object.keys(expected).sort());
      for (const [namespace, records] of Object.entries(expected)) {
        assert.deepEqual(sorted(stored[namespace]!), sorted(records), namespace);
      }
    });
  }
}
