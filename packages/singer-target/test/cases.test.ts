import assert from "node:assert/strict";
import { test } from "node:test";
import { type Line, readCase, startStore, type TestStore } from "./target-process.ts";

/** Runs a message file without errors. */
async function load(store: TestStore, name: string): Promise<{ states: string[]; warnings: string[] }> {
  const { code, states, errors } = await store.run(readCase(name));
  assert.equal(code, 0, errors.join("\n"));
  return { states, warnings: errors.filter((line) => line.includes("warning")) };
}

/** Runs a message file that ends with an error. @returns the error's one line */
async function refuse(store: TestStore, lines: Line[]): Promise<string> {
  const { code, errors } = await store.run(lines);
  assert.equal(code, 1);
  assert.equal(errors.length, 1, errors.join("\n"));
  return errors[0]!;
}

/** The cases of Meltano's suite for targets, under the same names. */
const CASES: Record<string, (store: TestStore) => Promise<void>> = {
  async array_data(store) {
    const { states } = await load(store, "array_data");
    assert.deepEqual(states, ['{"array_data": 3}']);
    assert.deepEqual(await store.contents("array_data"), {
      1: { id: 1, tags: ["red", "green"], grid: [[1, 2.5], [null]] },
      2: { id: 2, tags: [], grid: [[]] },
      3: { id: 3, tags: ["blue"] },
    });
  },

  async camelcase(store) {
    await load(store, "camelcase");
    assert.deepEqual(await store.contents("CamelCaseStream"), {
      A7: { OrderId: "A7", customerName: "Iris", customername: "lower" },
      a7: { OrderId: "a7", customerName: "Otto" },
    });
  },

  async camelcase_complex_schema(store) {
    await load(store, "camelcase_complex_schema");
    assert.deepEqual(await store.contents("ShipmentToCarrier"), {
      s1: { Id: "s1", CreatedDate: "2024-03-01T08:00:00Z", Route: { FirstStop: "Ulm" } },
      s2: { Id: "s2", CreatedDate: "some day", Route: null, IsExpress: true },
    });
  },

  async duplicate_records(store) {
    await load(store, "duplicate_records");
    assert.deepEqual(await store.contents("duplicate_records"), {
      1: { id: 1, count: 300 },
      2: { id: 2, count: 50 },
    });
  },

  async encoded_string_data(store) {
    const { warnings } = await load(store, "encoded_string_data");
    assert.deepEqual(await store.contents("encoded_string_data"), {
      1: { id: 1, text: "Größe — ελληνικά — 日本語 — 🚢" },
      2: { id: 2, text: "Größe 🚢" },
      3: { id: 3, text: 'a "quote", a \\ backslash, a / slash, a \n break, a \t tab' },
      4: { id: 4, text: "written out: \\u0000 \\u0041 \\n" },
      // The target replaces what the store cannot keep, and warns.
      5: { id: 5, text: "controls: \ufffd \u0001 \u001f" },
      6: {
        id: 6,
        text: "half a pair: \ufffd.",
        in_object: { text: "\ufffd" },
        in_array: ["x", "\ufffdy"],
      },
    });
    const fields = warnings.map((line) => /field ("[^"]*")/.exec(line)?.[1]);
    assert.deepEqual(fields, ['"text"', '"in_object.text"', '"in_array[]"']);
  },

  async invalid_schema(store) {
    const error = await refuse(store, readCase("invalid_schema"));
    assert.match(error, /error: stream "invalid_schema", line 1: The schema has no "properties"/);
    assert.deepEqual(await store.contents("invalid_schema"), {});
  },

  async multiple_state_messages(store) {
    const { states } = await load(store, "multiple_state_messages");
    assert.deepEqual(states, [
      '{"states_a": 1, "states_b": 0}',
      '{"states_a": 2, "states_b": 1}',
      '{"states_a": 2, "states_b": 1, "exact": [1.0, 1e2, 9007199254740993], "note": "\\u00e9 \\/ }"}',
    ]);
    assert.deepEqual(await store.ids("states_a"), ["1", "2", "3"]);
    assert.deepEqual(await store.ids("states_b"), ["1"]);
  },

  async no_primary_keys(store) {
    await load(store, "no_primary_keys");
    const first = await store.contents("no_primary_keys");
    const counts = Object.values(first).map(({ count }) => count as number);
    assert.deepEqual(counts.sort(), [1, 2, 3]);
    for (const id of Object.keys(first)) assert.match(id, /^sha256:[0-9a-f]{64}$/);
    // Equal records have equal ids.
    await load(store, "no_primary_keys");
    assert.deepEqual(await store.contents("no_primary_keys"), first);
  },

  async optional_attributes(store) {
    await load(store, "optional_attributes");
    assert.deepEqual(await store.contents("optional_attributes"), {
      1: { id: 1, nickname: "Zip", age: 4 },
      2: { id: 2 },
      3: { id: 3, age: null },
    });
  },

  async pk_updates(store) {
    await load(store, "pk_updates");
    assert.deepEqual(await store.contents("pk_updates"), {
      1: { id: 1, email: "ada@example.com", region: "eu" },
      "bob@example.com": { id: 2, email: "bob@example.com", region: "eu" },
      '["us",3]': { id: 3, email: "cy@example.com", region: "us" },
    });
    // This file's schema has no key properties, so the content is the key.
    await load(store, "pk_updates_within_schema");
    const within = Object.values(await store.contents("pk_within"));
    assert.deepEqual(within.map(({ email }) => email).sort(), ["ada@example.com", "bob@example.com"]);
  },

  async record_before_schema(store) {
    const error = await refuse(store, readCase("record_before_schema"));
    assert.match(error, /error: stream "record_before_schema", line 1: A RECORD came before its SCHEMA/);
    assert.deepEqual(await store.contents("record_before_schema"), {});
  },

  async record_missing_fields(store) {
    const { states } = await load(store, "record_missing_fields");
    assert.deepEqual(states, ["{}"]);
    assert.deepEqual(await store.contents("record_missing_fields"), {
      1: { id: 1, colour: "teal", size: 1.5 },
      2: { id: 2, size: 2 },
      3: { id: 3 },
    });
  },

  async record_missing_key_property(store) {
    const error = await refuse(store, readCase("record_missing_key_property"));
    assert.match(error, /stream "record_missing_key_property", line 3, field "id": .*key property/);
    assert.deepEqual(await store.contents("record_missing_key_property"), { 1: { id: 1, n: 10 } });
  },

  async schema_no_properties(store) {
    await load(store, "schema_no_properties");
    const data = async (namespace: string) => Object.values(await store.contents(namespace));
    assert.deepEqual(await data("object_with_properties"), [{ item: { id: 1 } }]);
    assert.deepEqual(await data("object_without_properties"), [{ item: { id: 1, anything: ["goes"] } }]);
    assert.deepEqual(await data("no_columns"), [{ free: true }]);
  },

  async schema_updates(store) {
    const { states } = await load(store, "schema_updates");
    assert.deepEqual(states, ['{"schema_updates": 3}']);
    assert.deepEqual(await store.contents("schema_updates"), {
      1: { id: 1, a: "one and a half" },
      2: { id: 2, a: 2.5, b: true },
      3: { id: 3, a: "now a text", c: [{ n: 1 }, { n: 2 }] },
    });
  },

  async special_chars_in_attributes(store) {
    await load(store, "special_chars_in_attributes");
    const { data } = await store.tidemark.getRecord({
      namespace: "special:Chars!in?attributes/ü",
      id: "x 1/ü",
    });
    const written =
      '{"_id":"x 1/ü","d":{"agent:type":"desktop","a.b/c d":"~","\\\\":1,"\\n":2,"__proto__":{"constructor":3},"":4}}';
    assert.deepEqual(data, JSON.parse(written));
  },
};

test("the target passes the cases of Meltano's suite", {
  concurrency: 2,
}, async (t) => {
  const store = await startStore(t);
  await Promise.all(Object.entries(CASES).map(([name, run]) => t.test(name, () => run(store))));
});
