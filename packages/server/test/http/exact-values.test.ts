import assert from "node:assert/strict";
import { test } from "node:test";
import { assertError, assertFieldError } from "./error-answer.ts";
import { type Pipeline, startPipeline, upsert } from "./pipeline.ts";

/** Returns a sync body with operations in literal JSON. */
function bodyOf({ tenant }: Pipeline, operations: string, before = ""): string {
  return `{${before}"organization_id":"${tenant.organizationId}","vector_store_id":"${tenant.storeId}",
    "sync_mode":"incremental","sync_timestamp":"2025-11-11T10:30:00Z","operations":[${operations}]}`;
}

const withData = (data: string) => `{"action":"upsert","id":"a","namespace":"tasks","data":${data}}`;

test("numbers that a double cannot hold get a 422, anywhere in a record", async (t) => {
  const pipeline = await startPipeline(t);
  const before = await pipeline.state();
  for (const number of [
    "9007199254740993",
    "-9007199254740993",
    "9007199254740993.0",
    "90071992547409930e-1",
    "1e400",
    "-1e400",
    "1e-400",
    "0.1000000000000000055511151231257827021181583404541015625",
    "3.14159265358979323846264338327950288",
    "123456789012345678901234567890",
    "4.9e-324",
    `0.1${"0".repeat(100_000)}1`,
    `1e-${"9".repeat(100_000)}`,
  ]) {
    await t.test(number.length > 60 ? `${number.slice(0, 20)}…` : number, async () => {
      for (const [data, path] of [
        [`{"n":${number}}`, "data.n"],
        [`{"list":[1,{"deep":[${number}]}]}`, "data.list[1].deep[0]"],
      ] as const) {
        const answer = await pipeline.send(bodyOf(pipeline, withData(data)));
        assertFieldError(answer, `operations[0].${path}`, "INEXACT_NUMBER");
        assert.ok(JSON.stringify(answer.body).length < 2000);
      }
    });
  }
  assert.deepEqual(await pipeline.state(), before);
});

test("different notations of a double are the same value", async (t) => {
  const pipeline = await startPipeline(t);
  const changes = async (data: string) => {
    const answer = await pipeline.send(bodyOf(pipeline, withData(data)));
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const { created, updated, unchanged } = answer.body.changes;
    return { created, updated, unchanged };
  };
  const notations = {
    "0.1": ["0.10", "1e-1", "0.1000000000000000000000000"],
    "1": ["1.0", "1e0", "10e-1", "0.1e1"],
    "0": ["-0", "0.0", "-0e5", "0e-999999"],
    "100": ["1e2", "1E2", "1e+2", "100.00"],
    "9007199254740992": ["9007199254740992.0", "9.007199254740992e15"],
    "1.7976931348623157e308": ["17976931348623157e292"],
    "5e-324": ["5E-324"],
    "0.30000000000000004": ["30000000000000004e-17"],
    "123456789012345680000": ["1.2345678901234568e20"],
  };
  await changes("{}");
  for (const [written, same] of Object.entries(notations)) {
    await t.test(`${written} is the same as ${same.join(", ")}`, async () => {
      assert.deepEqual(await changes(`{"n":${written}}`), { created: 0, updated: 1, unchanged: 0 });
      for (const notation of same) {
        assert.deepEqual(await changes(`{"n":${notation}}`), { created: 0, updated: 0, unchanged: 1 });
      }
    });
  }
});

test("text that cannot be stored gets a 422, in every field that contains text", async (t) => {
  const pipeline = await startPipeline(t);
  const before = await pipeline.state();
  const bad = {
    "a lone high surrogate": String.raw`\ud83d`,
    "a lone low surrogate": String.raw`x\ude00`,
    "a surrogate pair in the wrong order": String.raw`\ude00\ud83d`,
    "a lone surrogate before a valid pair": String.raw`\ud83d\ud83d\ude00`,
    NUL: String.raw`a\u0000b`,
  };
  const op = (fields: string) => `{"action":"upsert","id":"a","namespace":"tasks"${fields}}`;
  const places: [field: string, operation: (text: string) => string][] = [
    ["operations[0].id", (text) => `{"action":"upsert","id":"${text}","namespace":"tasks"}`],
    ["operations[0].id", (text) => `{"action":"delete","id":"${text}","namespace":"tasks"}`],
    ["operations[0].namespace", (text) => `{"action":"upsert","id":"a","namespace":"${text}"}`],
    ["operations[0].data.title", (text) => op(`,"data":{"title":"${text}"}`)],
    ["operations[0].data.list[1].x", (text) => op(`,"data":{"list":[0,{"x":"${text}"}]}`)],
    ["operations[0].source_system", (text) => op(`,"source_system":"${text}"`)],
    ["operations[0].file.file_url", (text) => op(`,"file":{"file_url":"${text}","file_relative_path":"p"}`)],
  ];
  for (const [name, text] of Object.entries(bad)) {
    await t.test(name, async () => {
      for (const [field, operation] of places) {
        assertFieldError(await pipeline.send(bodyOf(pipeline, operation(text))), field, "INVALID_TEXT");
      }
      const inKey = await pipeline.send(bodyOf(pipeline, op(`,"data":{"${text}":1}`)));
      const { errors } = assertError(inKey, "VALIDATION_ERROR");
      assert.match(errors[0].field, /^operations\[0\]\.data\[/);
      assert.equal(errors[0].code, "INVALID_TEXT");
      const inField = await pipeline.send(bodyOf(pipeline, "", `"${text}":1,`));
      assert.equal(assertError(inField, "VALIDATION_ERROR").errors[0].code, "INVALID_TEXT");
    });
  }
  assert.deepEqual(await pipeline.state(), before);
});

test("surrogate pairs, escapes and control characters are accepted", async (t) => {
  const pipeline = await startPipeline(t);
  const texts = [
    String.raw`\ud83d\ude00`,
    "😀",
    String.raw`\u0001\u001f`,
    "\u007f",
    "\ufeff",
    "\uffff",
    "\u2028",
  ];
  for (const text of texts) {
    const operation = `{"action":"upsert","id":"${text}","namespace":"${text}","data":{"${text}":"${text}"}}`;
    assert.equal((await pipeline.send(bodyOf(pipeline, operation))).status, 200);
    const id = JSON.parse(`"${text}"`);
    assert.deepEqual(await pipeline.existing(id, [id]), [id]);
  }
  const again = `{"action":"upsert","id":"😀","namespace":"😀","data":{"😀":"😀"}}`;
  assert.equal((await pipeline.send(bodyOf(pipeline, again))).body.changes.unchanged, 1);
});

test("ids are compared byte for byte", async (t) => {
  const { sync, existing } = await startPipeline(t);
  const families = [
    ["caf\u00e9", "cafe\u0301"],
    ["a", "A", "a ", " a", "a\t", "a\n", "a\u00a0", "a\u200b", "\ufeffa", "\uff41"],
    ["ß", "ss", "\u1e9e"],
    ["1", "01", "1.0", "1e0", "\u0661"],
    ["null", "true", "undefined", "[]", "{}"],
    ["\u00c5", "\u212b", "A\u030a"],
    ["a'b", "a''b", 'a"b', "a\\b", "a%b", "a_b", "a*b"],
    ["\ufb33", "😀", "\ue000"],
  ];
  for (const family of families) {
    await t.test(family.map((id) => JSON.stringify(id)).join(" · "), async () => {
      for (const id of family) {
        const namespace = `${family[0]} and ${id}`;
        await sync({ operations: [upsert(id, { namespace })] });
        assert.deepEqual(await existing(namespace, family), [id]);
      }
      const namespace = `all ids like ${family[0]}`;
      const answer = await sync({ operations: family.map((id) => upsert(id, { namespace })) });
      assert.equal(answer.body.changes.created, family.length);
      assert.deepEqual(await existing(namespace, family), family);
      await sync({ operations: [{ action: "delete", id: family[0], namespace }] });
      assert.deepEqual(await existing(namespace, family), family.slice(1));
    });
  }
});

test("an id or a namespace may have 255 arbitrary code points", async (t) => {
  const { sync, existing } = await startPipeline(t);
  for (const name of ["x".repeat(255), "😀".repeat(255), `e${"\u0301".repeat(254)}`, "\u0001".repeat(255)]) {
    assert.equal((await sync({ operations: [upsert(name, { namespace: name })] })).status, 200);
    assert.deepEqual(await existing(name, [name, name.slice(0, -2)]), [name]);
  }
});

test("namespaces, ids and keys may have the names of JavaScript's built-in properties", async (t) => {
  const pipeline = await startPipeline(t);
  const names = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf", "then"];
  const operations = names.map(
    (name) => `{"action":"upsert","id":"${name}","namespace":"${name}","data":{"${name}":{"x":["${name}"]}}}`,
  );
  const answer = await pipeline.send(bodyOf(pipeline, operations.join()));
  assert.equal(answer.status, 200);
  assert.deepEqual(Object.keys(answer.body.by_namespace).sort(), names.toSorted());
  for (const name of names) {
    const counts = Object.getOwnPropertyDescriptor(answer.body.by_namespace, name)?.value;
    assert.deepEqual(counts, { upserted: 1, deleted: 0, failed: 0 });
    assert.deepEqual(await pipeline.existing(name, names), [name]);
  }
  const again = await pipeline.send(bodyOf(pipeline, operations.join(" , ")));
  assert.equal(again.body.changes.unchanged, names.length);

  // The value of __proto__ is part of the content and must not leak into other objects.
  const polluting = (value: string) =>
    pipeline.send(bodyOf(pipeline, withData(`{"__proto__":{"polluted":${value}}}`)));
  assert.equal((await polluting("1")).body.changes.created, 1);
  assert.equal((await polluting("2")).body.changes.updated, 1);
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);

  const refresh = await pipeline.sync({
    sync_mode: "full_refresh",
    namespaces: ["__proto__", "constructor"],
  });
  assert.equal(refresh.body.changes.cleared, 2);
  assert.deepEqual(await pipeline.existing("__proto__", names), []);
  assert.deepEqual(await pipeline.existing("toString", names), ["toString"]);
});

test("the last of two equal keys counts", async (t) => {
  const pipeline = await startPipeline(t);
  const twice = (data: string) =>
    pipeline.send(
      bodyOf(
        pipeline,
        `{"action":"delete","id":"wrong","action":"upsert","namespace":"wrong","id":"a","namespace":"tasks",${data}}`,
        `"operations":[{"bad":1}],"sync_mode":"nothing",`,
      ),
    );
  const first = await twice('"data":{"n":1,"n":2}');
  assert.equal(first.status, 200, JSON.stringify(first.body));
  assert.deepEqual(first.body.by_namespace, { tasks: { upserted: 1, deleted: 0, failed: 0 } });
  assert.deepEqual(await pipeline.existing("tasks", ["a", "wrong"]), ["a"]);
  const plain = await pipeline.send(bodyOf(pipeline, withData('{"n":2}')));
  assert.equal(plain.body.changes.unchanged, 1);
  // An overridden value may be one that cannot be stored.
  const overridden = await twice(String.raw`"data":{"n":1e400,"t":"\ud800","n":2,"t":""},"data":{"n":2}`);
  assert.equal(overridden.body.changes.unchanged, 1);
  const inexact = await twice('"data":{"n":2,"n":1e400}');
  assertFieldError(inexact, "operations[0].data.n", "INEXACT_NUMBER");
});

test("data may have any JSON value, nested up to the limit", async (t) => {
  const pipeline = await startPipeline(t);
  const levels = (count: number) => `${'{"x":'.repeat(count)}[]${"}".repeat(count)}`;
  // The body, operations and the operation take 3 levels; data and its innermost array take 61.
  assert.equal((await pipeline.send(bodyOf(pipeline, withData(levels(60))))).status, 200);
  assertError(await pipeline.send(bodyOf(pipeline, withData(levels(61)))), "INVALID_JSON");
  const brackets = JSON.stringify({ text: "[".repeat(1000), "{{{{": '\\"{' });
  assert.equal((await pipeline.send(bodyOf(pipeline, withData(brackets)))).status, 200);
  const empty = ["{}", '{"":""}', '{"a":null}', '{"a":[]}', '{"a":{}}', '{"a":""}', '{"a":false}', '{"a":0}'];
  for (const data of empty) {
    const answer = await pipeline.send(bodyOf(pipeline, withData(data)));
    assert.equal(answer.body.changes.updated, 1, `${data} differs from the previous data`);
  }
});
