import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { canonicalJson } from "@tidemark/protocol/canonical-json";
import { parseJson } from "@tidemark/protocol/parse-json";
import { runWrite, startServer } from "./destination.ts";

const { newStore } = await startServer();
const read = (name: string) => readFileSync(new URL(`messages/${name}`, import.meta.url), "utf8");

/** Message files in the style of those that Airbyte tests its own destinations with. */
const CASES: [file: string, states: number, statement: string][] = [
  ["exchange_rate", 1, "records without a key are all kept"],
  ["exchange_rate_dedup", 1, "of each key the record that came last is kept"],
  ["edge_case", 1, "names, keys and texts of every kind are kept as they are"],
  ["namespaces", 1, "streams of the same name in several namespaces do not mix"],
  ["data_types", 1, "every type is kept exactly, what a double cannot hold as a text"],
  ["interleaved", 6, "streams that come interleaved, with states and deletes, are told apart"],
  ["no_data", 1, "streams without records leave nothing"],
];

/** Records without regard to their order. */
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
      const found = await everything();
      assert.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort());
      for (const [namespace, records] of Object.entries(expected)) {
        assert.deepEqual(sorted(found[namespace]!), sorted(records), namespace);
      }
    });
  }
}
