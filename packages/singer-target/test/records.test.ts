import assert from "node:assert/strict";
import { test } from "node:test";
import { RunClock } from "../src/clock.ts";
import { Writer } from "../src/writer.ts";
import { type Line, record, schema, startStore, state } from "./target-process.ts";

const id = { type: "integer" };
const deletedAt = "2025-11-11T10:30:00Z";

test("records", { concurrency: 2 }, async (t) => {
  const store = await startStore(t);
  const run = async (lines: Line[], settings?: object) => {
    const result = await store.runHere(lines, settings);
    assert.equal(result.code, 0, result.errors.join("\n"));
    return result;
  };
  /** @returns the error's one line */
  const refuse = async (lines: Line[], settings?: object) => {
    const { code, errors } = await store.runHere(lines, settings);
    assert.equal(code, 1);
    assert.equal(errors.length, 1, errors.join("\n"));
    assert.match(errors[0]!, /^target-tidemark: error: /);
    return errors[0]!.slice("target-tidemark: error: ".length);
  };
  const tests: Promise<void>[] = [];
  const check = (name: string, body: () => Promise<void>) => tests.push(t.test(name, body));

  check("different composite keys have different ids", async () => {
    const keys = { a: { type: ["string", "integer"] }, b: { type: ["string", "null"] } };
    const pairs = [
      ...[
        ["x", "y,z"],
        ["x,y", "z"],
        ['x","y', "z"],
        [1, "1"],
        ["1", "1"],
        ["", ""],
        ["", null],
      ],
    ] as const;
    await run([schema("pairs", keys, ["a", "b"]), ...pairs.map(([a, b]) => record("pairs", { a, b }))]);
    const ids = await store.ids("pairs");
    assert.deepEqual(ids.sort(), pairs.map((pair) => JSON.stringify(pair)).sort());
    await run([schema("turned", keys, ["b", "a"]), record("turned", { a: "x", b: "y" })]);
    assert.deepEqual(await store.ids("turned"), ['["y","x"]'], "in the order of key_properties");
  });

  check("keys that cannot be ids are hashed to different ids", async () => {
    const texts = [
      "x".repeat(255),
      "x".repeat(256),
      "🚢".repeat(255),
      "🚢".repeat(256),
      "",
      "a\0",
      "a\ufffd",
    ];
    await run([schema("long", { k: { type: "string" } }, ["k"]), ...texts.map((k) => record("long", { k }))]);
    const ids = await store.ids("long");
    assert.equal(ids.length, texts.length);
    const plain = ids.filter((key) => !key.startsWith("sha256:"));
    assert.deepEqual(plain.sort(), ["x".repeat(255), "🚢".repeat(255), "a\ufffd"].sort());
  });

  check("a key with more digits than a double can hold keeps them all", async () => {
    const big = (n: string) => `{"type": "RECORD", "stream": "big", "record": {"id": ${n}}}`;
    const lines = [schema("big", { id }), big("9007199254740993"), big("9007199254740992")];
    assert.match(await refuse(lines), /^stream "big", line 2, field "id": .*inexact_numbers/);
    await run(lines, { inexact_numbers: "text" });
    assert.deepEqual(await store.contents("big"), {
      "9007199254740992": { id: 9007199254740992 },
      "9007199254740993": { id: "9007199254740993" },
    });
  });

  check("_sdc_deleted_at deletes the record with hard_delete, and is ordinary data without", async () => {
    const lines = (stream: string) => [
      schema(stream, { id, name: { type: "string" } }, ["id"], { required: ["id", "name"] }),
      ...[1, 2, 3].map((id) => record(stream, { id, name: "n", _sdc_deleted_at: null })),
    ];
    const gone = (stream: string, more = {}) =>
      record(stream, { id: 2, _sdc_deleted_at: deletedAt, ...more });
    const { errors } = await run([...lines("hard"), gone("hard")], { hard_delete: true });
    assert.deepEqual(await store.ids("hard"), ["1", "3"]);
    assert.match(errors.join("\n"), /3 records written, 1 deleted/);
    await run([...lines("soft"), gone("soft", { name: "n" })]);
    assert.equal((await store.contents("soft"))[2]!._sdc_deleted_at, deletedAt);
  });

  check("without keys, a deletion identifies its record by the rest of its content", async () => {
    const declare = schema("unkeyed", { n: id }, []);
    await run([declare, record("unkeyed", { n: 1 }), record("unkeyed", { n: 2 })]);
    const deletion = record("unkeyed", { n: 1, _sdc_deleted_at: deletedAt });
    await run([declare, deletion], { hard_delete: true });
    assert.deepEqual(Object.values(await store.contents("unkeyed")), [{ n: 2 }]);
  });

  check(
    "a record that does not fit its schema is refused with its field, unless validation is off",
    async () => {
      const properties = {
        id,
        address: { type: "object", properties: { lines: { type: "array", items: { type: "string" } } } },
      };
      const bad = [
        schema("misfit", properties),
        record("misfit", { id: 1 }),
        state("first"),
        record("misfit", { id: 2, address: { lines: ["a", 7] } }),
      ];
      const { code, states, errors } = await store.runHere(bad);
      assert.deepEqual([code, states], [1, ['"first"']], "what came before it is written");
      assert.deepEqual(errors, [
        'target-tidemark: error: stream "misfit", line 4, field "address.lines[1]": The value must be string.',
      ]);
      assert.deepEqual(await store.ids("misfit"), ["1"]);
      await run(bad, { validate_records: false });
      assert.deepEqual(await store.ids("misfit"), ["1", "2"]);
    },
  );

  check("the schemas of real taps are accepted", async () => {
    const more = {
      $schema: "http://json-schema.org/draft-04/schema#",
      id: "https://example.com/tap",
      definitions: { money: { type: "number", minimum: 0, exclusiveMinimum: true, multipleOf: 0.01 } },
      additionalProperties: false,
    };
    const time = { type: ["null", "string"], format: "date-time" };
    const properties = {
      id,
      price: { $ref: "#/definitions/money" },
      at: { anyOf: [time, { type: "object" }] },
      day: { type: "string", format: "date" },
      amount: { type: "string", format: "singer.decimal" },
      word: { type: "string", pattern: "^[\\w\\-\\:]+$" },
    };
    const declare = schema("as_written", properties, ["id"], more);
    const good = [
      { id: 1, price: 19.99, at: "2025-11-11 10:30:00", day: "2025-11-11", amount: "1.000", word: "a-b:c" },
      { id: 2, price: 0.07, at: "2025-11-11T10:30:00.123456+01:00", _sdc_deleted_at: null },
      { id: 3, at: null },
    ];
    await run([declare, ...good.map((data) => record("as_written", data))]);
    assert.deepEqual(Object.values(await store.contents("as_written")), good);
    for (const [field, value] of [
      ["price", 0],
      ["price", 0.001],
      ["day", "yesterday"],
      ["word", "a b"],
      ["unknown", 1],
    ] as const) {
      const error = await refuse([declare, record("as_written", { id: 4, [field]: value })]);
      assert.ok(error.startsWith(`stream "as_written", line 2, field "${field}": `), error);
    }
    const broken = schema("as_written", { id: { type: "whole" } });
    assert.match(
      await refuse([broken]),
      /^stream "as_written", line 1: The schema cannot be used: .*validate_records/,
    );
  });

  check("repeating the same records changes nothing", async () => {
    const lines = [
      schema("again", { id }),
      record("again", { id: 1 }, { time_extracted: "2025-01-01T00:00:00Z" }),
    ];
    await run(lines);
    await run([lines[0]!, record("again", { id: 1 }, { time_extracted: "2025-01-02T00:00:00Z" })]);
    const { data } = await store.tidemark.listSyncs({ limit: 100 });
    const [newest] = data.filter(({ by_namespace }) => "again" in by_namespace);
    assert.equal(newest!.changes.unchanged, 1);
  });

  check("add_record_metadata adds the metadata columns", async () => {
    const time_extracted = "2025-11-11T10:30:00.000000Z";
    const lines = [schema("metadata", { id }), record("metadata", { id: 1 }, { time_extracted, version: 7 })];
    await run(lines, { add_record_metadata: true });
    const { _sdc_received_at, _sdc_batched_at, _sdc_sequence, ...rest } = (
      await store.contents("metadata")
    )[1]!;
    assert.deepEqual(rest, {
      id: 1,
      _sdc_extracted_at: time_extracted,
      _sdc_deleted_at: null,
      _sdc_table_version: 7,
    });
    assert.equal(new Date(_sdc_received_at as string).getTime(), _sdc_sequence);
    assert.equal(_sdc_batched_at, _sdc_received_at);
  });

  check("a stream's namespace is the prefix and its name, or a hash if that is too long", async () => {
    const name = "n".repeat(250);
    const lines = [
      schema("short", { id }),
      schema(name, { id }),
      record("short", { id: 1 }),
      record(name, { id: 1 }),
    ];
    await run(lines, { namespace_prefix: "prefix_" });
    const { data } = await store.tidemark.listNamespaces({ limit: 100 });
    const names = data.map(({ namespace }) => namespace);
    assert.ok(names.includes("prefix_short"));
    assert.equal(names.filter((name) => /^sha256:[0-9a-f]{64}$/.test(name)).length, 1);
  });

  check("a value that the store cannot keep ends the run with an error that names the field", async () => {
    const nested = JSON.parse("[".repeat(62) + "]".repeat(62));
    const deep = await refuse([schema("kept", { id }), record("kept", { id: 1, a: nested })]);
    assert.match(deep, /^stream "kept", line 2, field "a\[0\].*": Nested deeper than 61 levels/);
    const strict = { replace_invalid_text: false };
    const text = await refuse([schema("kept", { id }), record("kept", { id: 1, a: { b: "\0" } })], strict);
    assert.match(text, /^stream "kept", line 2, field "a\.b": .*U\+0000/);
    await run([
      schema("kept", { id }),
      record("kept", { id: 2, a: JSON.parse("[".repeat(60) + "]".repeat(60)) }),
    ]);
    assert.deepEqual(await store.ids("kept"), ["2"]);
  });

  check("if the server rejects a record, the error names it, and none of its batch is written", async () => {
    const writer = new Writer({
      tidemark: store.tidemark,
      clock: new RunClock(),
      batch: { operations: 10, bytes: 10_000 },
      waitMs: 60_000,
      emit: () => Promise.reject(new Error("a STATE went out")),
      warn: () => {},
    });
    const upsert = (id: string, data: object) =>
      JSON.stringify({ action: "upsert", namespace: "refused", id, data });
    await writer.add(upsert("1", {}), { stream: "s", line: 2 });
    await writer.add(upsert("2", { a: { b: ["\0"] } }), { stream: "s", line: 3 });
    await writer.addState("{}");
    await assert.rejects(
      writer.flush(),
      /^TargetError: stream "s", line 3, field "a\.b\[0\]": VALIDATION_ERROR: /,
    );
    await assert.rejects(writer.failed, /line 3/);
    assert.deepEqual(await store.ids("refused"), []);
  });

  check("an invalid message ends the run with an error that names the line", async () => {
    const declare = schema("broken", { id });
    const cases: [Line, RegExp][] = [
      ["{", /^line 2: Not a Singer message: not JSON/],
      ["[]", /^line 2: .*not a JSON object/],
      ["[".repeat(100_000), /^line 2: Not a Singer message/],
      [{ stream: "broken" }, /^line 2: .*without type/],
      [{ type: "METRIC" }, /^line 2: .*type "METRIC"/],
      [{ type: "STATE" }, /^line 2: .*has no "value"/],
      [
        { type: "BATCH", stream: "broken", manifest: [] },
        /^stream "broken", line 2: BATCH messages are not supported/,
      ],
      [{ type: "RECORD", record: { id: 1 } }, /^line 2: .*has no "stream"/],
      [{ type: "RECORD", stream: "broken", record: [] }, /^stream "broken", line 2: .*has no "record"/],
      [record("broken", { id: null }), /^stream "broken", line 2, field "id": The key property is null/],
      [
        schema("broken", { n: id }),
        /^stream "broken", line 2, field "id": The schema lacks this key property/,
      ],
      [{ ...declare, key_properties: "id" }, /^stream "broken", line 2: "key_properties" must be/],
      [{ type: "ACTIVATE_VERSION", stream: "broken" }, /^stream "broken", line 2: .*has no "version"/],
    ];
    for (const [line, expected] of cases) assert.match(await refuse([declare, line]), expected);
    const newline = await refuse([record("two\nlines", { id: 1 })]);
    assert.match(newline, /^stream "two\\nlines", line 1: /);
  });

  await Promise.all(tests);
});
