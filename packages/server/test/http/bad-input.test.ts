import assert from "node:assert/strict";
import { test } from "node:test";
import { syncBody } from "../test-server.ts";
import { assertError, assertFieldError } from "./error-answer.ts";
import { CHECK_EXISTS, startPipeline, upsert } from "./pipeline.ts";

type FieldErrors = Record<string, string>;

test("a sync with an invalid type, value or field gets a 422 that names the field, and changes nothing", async (t) => {
  const { sync, send, state, existing } = await startPipeline(t);
  await sync({ operations: [upsert("kept", { data: { n: 1 } })] });
  const before = await state();

  /** Fields of a body, and the expected errors. */
  const envelopes: Record<string, [fields: Record<string, unknown>, errors: FieldErrors]> = {
    "an organization that is a number": [{ organization_id: 5 }, { organization_id: "INVALID_TYPE" }],
    "an organization without its prefix": [
      { organization_id: "vs_a" },
      { organization_id: "INVALID_FORMAT" },
    ],
    "an organization that is only the prefix": [
      { organization_id: "org_" },
      { organization_id: "INVALID_FORMAT" },
    ],
    "a store that is null": [{ vector_store_id: null }, { vector_store_id: "INVALID_TYPE" }],
    "a store that is an array": [{ vector_store_id: ["vs_a"] }, { vector_store_id: "INVALID_TYPE" }],
    "an unknown mode": [{ sync_mode: "full" }, { sync_mode: "INVALID_VALUE" }],
    "a mode in another case": [{ sync_mode: "Incremental" }, { sync_mode: "INVALID_VALUE" }],
    "a mode that is true": [{ sync_mode: true }, { sync_mode: "INVALID_VALUE" }],
    "a timestamp that is a number": [{ sync_timestamp: 1762857000 }, { sync_timestamp: "INVALID_TYPE" }],
    "operations that are an object": [{ operations: {} }, { operations: "INVALID_TYPE" }],
    "operations that are null": [{ operations: null }, { operations: "INVALID_TYPE" }],
    "operations in a string": [{ operations: "[]" }, { operations: "INVALID_TYPE" }],
    "operations that are not objects": [
      { operations: [null, 5, "x", [], true] },
      Object.fromEntries([0, 1, 2, 3, 4].map((i) => [`operations[${i}]`, "INVALID_TYPE"])),
    ],
    "an unknown field": [{ extra: 1 }, { extra: "UNKNOWN_FIELD" }],
    "a field in another case": [{ Operations: [] }, { Operations: "UNKNOWN_FIELD" }],
    "a field named constructor": [{ constructor: 1 }, { constructor: "UNKNOWN_FIELD" }],
    "a field named toString": [{ toString: 1 }, { toString: "UNKNOWN_FIELD" }],
    "a field with an odd name": [{ 'a "b"/~c': 1 }, { '["a \\"b\\"/~c"]': "UNKNOWN_FIELD" }],
    "twenty unknown fields": [
      Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`x${i}`, null])),
      Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`x${i}`, "UNKNOWN_FIELD"])),
    ],
    "namespaces in an incremental sync": [{ namespaces: ["tasks"] }, { namespaces: "NOT_ALLOWED" }],
    "an empty list of namespaces in an incremental sync": [{ namespaces: [] }, { namespaces: "NOT_ALLOWED" }],
    "namespaces that are null": [{ namespaces: null }, { namespaces: "INVALID_TYPE" }],
    "namespaces that are a string": [
      { sync_mode: "full_refresh", namespaces: "tasks" },
      { namespaces: "INVALID_TYPE" },
    ],
    "a namespace that is a number": [
      { sync_mode: "full_refresh", namespaces: ["tasks", 5] },
      { "namespaces[1]": "INVALID_TYPE" },
    ],
    "an empty namespace": [{ sync_mode: "full_refresh", namespaces: [""] }, { "namespaces[0]": "TOO_SHORT" }],
    "101 namespaces": [
      { sync_mode: "full_refresh", namespaces: Array.from({ length: 101 }, (_, i) => `n${i}`) },
      { namespaces: "TOO_MANY" },
    ],
  };
  for (const [name, [fields, errors]] of Object.entries(envelopes)) {
    await t.test(name, async () => {
      const answer = await sync({ operations: [upsert("new")], ...fields });
      for (const [field, code] of Object.entries(errors)) assertFieldError(answer, field, code);
      const { total_errors } = answer.body.error.details;
      assert.equal(total_errors, Object.keys(errors).length, JSON.stringify(answer.body));
    });
  }

  /** Fields of an otherwise valid operation, and the expected errors by field. */
  const operations: Record<string, [fields: Record<string, unknown>, errors: FieldErrors]> = {
    "an id that is a number": [{ id: 5 }, { id: "INVALID_TYPE" }],
    "an id that is null": [{ id: null }, { id: "INVALID_TYPE" }],
    "an id that is true": [{ id: true }, { id: "INVALID_TYPE" }],
    "an id in an array": [{ id: ["a"] }, { id: "INVALID_TYPE" }],
    "an empty id": [{ id: "" }, { id: "TOO_SHORT" }],
    "an id of 12 KB": [{ id: "x".repeat(12 * 1024) }, { id: "TOO_LONG" }],
    "an id of 256 characters": [{ id: "x".repeat(256) }, { id: "TOO_LONG" }],
    "an id of 256 emoji": [{ id: "😀".repeat(256) }, { id: "TOO_LONG" }],
    "an id of one letter with 255 accents": [{ id: `e${"\u0301".repeat(255)}` }, { id: "TOO_LONG" }],
    "a missing id": [{ id: undefined }, { id: "REQUIRED" }],
    "a missing namespace": [{ namespace: undefined }, { namespace: "REQUIRED" }],
    "an empty namespace": [{ namespace: "" }, { namespace: "TOO_SHORT" }],
    "a namespace that is a number": [{ namespace: 7 }, { namespace: "INVALID_TYPE" }],
    "a namespace of 256 characters": [{ namespace: "n".repeat(256) }, { namespace: "TOO_LONG" }],
    "a missing action": [{ action: undefined }, { action: "REQUIRED" }],
    "an unknown action": [{ action: "insert" }, { action: "INVALID_VALUE" }],
    "an action in another case": [{ action: "Upsert" }, { action: "INVALID_VALUE" }],
    "data that is an array": [{ data: [] }, { data: "INVALID_TYPE" }],
    "data that is null": [{ data: null }, { data: "INVALID_TYPE" }],
    "data that is a string": [{ data: "{}" }, { data: "INVALID_TYPE" }],
    "data that is a number": [{ data: 0 }, { data: "INVALID_TYPE" }],
    "a delete whose data is an array": [{ action: "delete", data: [] }, { data: "INVALID_TYPE" }],
    "a source system that is a number": [{ source_system: 1 }, { source_system: "INVALID_TYPE" }],
    "a source system of 256 characters": [{ source_system: "s".repeat(256) }, { source_system: "TOO_LONG" }],
    "an unknown field": [{ vector: [] }, { vector: "UNKNOWN_FIELD" }],
    "a field named constructor": [{ constructor: {} }, { constructor: "UNKNOWN_FIELD" }],
    "a file that is a string": [{ file: "x" }, { file: "INVALID_TYPE" }],
    "a file that is null": [{ file: null }, { file: "INVALID_TYPE" }],
    "a file without its members": [
      { file: {} },
      { "file.file_url": "REQUIRED", "file.file_relative_path": "REQUIRED" },
    ],
    "a file with an unknown field and a wrong type": [
      { file: { file_url: 1, file_relative_path: "a", size: 3 } },
      { "file.file_url": "INVALID_TYPE", "file.size": "UNKNOWN_FIELD" },
    ],
    "a file with a URL that is too long": [
      { file: { file_url: "u".repeat(8193), file_relative_path: "a" } },
      { "file.file_url": "TOO_LONG" },
    ],
    "times that are numbers": [
      { created_at: 0, updated_at: 1762857000 },
      { created_at: "INVALID_TYPE", updated_at: "INVALID_TYPE" },
    ],
    "times that do not exist": [
      { created_at: "2024-02-30T00:00:00Z", updated_at: "yesterday" },
      { created_at: "INVALID_DATE_TIME", updated_at: "INVALID_DATE_TIME" },
    ],
    "errors in every field": [
      {
        action: 1,
        id: 1,
        namespace: 1,
        data: 1,
        source_system: 1,
        file: 1,
        created_at: 1,
        updated_at: 1,
        x: 1,
      },
      {
        action: "INVALID_VALUE",
        id: "INVALID_TYPE",
        namespace: "INVALID_TYPE",
        data: "INVALID_TYPE",
        source_system: "INVALID_TYPE",
        file: "INVALID_TYPE",
        created_at: "INVALID_TYPE",
        updated_at: "INVALID_TYPE",
        x: "UNKNOWN_FIELD",
      },
    ],
  };
  for (const [name, [fields, errors]] of Object.entries(operations)) {
    await t.test(`operation: ${name}`, async () => {
      const answer = await sync({ operations: [upsert("new"), { ...upsert("bad"), ...fields }] });
      for (const [field, code] of Object.entries(errors)) {
        assertFieldError(answer, `operations[1].${field}`, code);
      }
      assert.equal(answer.body.error.details.total_errors, Object.keys(errors).length);
    });
  }

  await t.test("a field named __proto__, at every level except data", async () => {
    const head =
      '"organization_id":"org_a","vector_store_id":"vs_a","sync_mode":"incremental","sync_timestamp":"2025-11-11T10:30:00Z"';
    const operation = '"action":"upsert","id":"new","namespace":"tasks"';
    const file = '"file_url":"u","file_relative_path":"p"';
    for (const [text, field] of [
      [`{${head},"operations":[],"__proto__":{"x":1}}`, "__proto__"],
      [`{${head},"operations":[{${operation},"__proto__":{}}]}`, "operations[0].__proto__"],
      [
        `{${head},"operations":[{${operation},"file":{${file},"__proto__":null}}]}`,
        "operations[0].file.__proto__",
      ],
    ] as const) {
      assertFieldError(await send(text), field, "UNKNOWN_FIELD");
    }
  });
  for (const body of ["null", "5", '"text"', "[]", "true", "[{}]"]) {
    await t.test(`the body ${body}`, async () => assertFieldError(await send(body), "body", "INVALID_TYPE"));
  }
  await t.test("an empty object gets an error for every required field", async () => {
    const answer = await send("{}");
    const names = ["organization_id", "vector_store_id", "sync_mode", "sync_timestamp", "operations"];
    for (const name of names) assertFieldError(answer, name, "REQUIRED");
    assert.equal(answer.body.error.details.total_errors, names.length);
  });

  assert.deepEqual(await state(), before);
  assert.deepEqual(await existing("tasks", ["kept", "new", "bad"]), ["kept"]);
});

test("conflicting fields get an error that names the field", async (t) => {
  const { sync, state } = await startPipeline(t);
  const before = await state();
  const rejected: [fields: Record<string, unknown>, field: string, code: string][] = [
    [{ last_batch: false }, "last_batch", "NOT_ALLOWED"],
    [{ refresh_id: "r" }, "refresh_id", "NOT_ALLOWED"],
    [{ expected_operations: 0 }, "expected_operations", "NOT_ALLOWED"],
    [
      { sync_mode: "full_refresh", last_batch: false, expected_operations: 1 },
      "expected_operations",
      "NOT_ALLOWED",
    ],
    [{ sync_mode: "full_refresh", last_batch: false, removal_limit: 1 }, "removal_limit", "NOT_ALLOWED"],
    [{ sync_mode: "full_refresh", last_batch: false, dry_run: true }, "dry_run", "NOT_ALLOWED"],
    [{ sync_mode: "full_refresh", refresh_id: "" }, "refresh_id", "TOO_SHORT"],
    [{ sync_mode: "full_refresh", refresh_id: "r".repeat(65) }, "refresh_id", "TOO_LONG"],
    [{ sync_mode: "full_refresh", expected_operations: 1.5 }, "expected_operations", "INVALID_TYPE"],
    [{ dry_run: "yes" }, "dry_run", "INVALID_TYPE"],
    [{ on_error: "ignore" }, "on_error", "INVALID_VALUE"],
  ];
  for (const [fields, field, code] of rejected) assertFieldError(await sync(fields), field, code);
  for (const removal_limit of [-1, 1.5, "20", "101%", "-5%", "%", "1e1%", true]) {
    const error = assertError(await sync({ removal_limit }), "VALIDATION_ERROR");
    const fields = (error.errors as { field: string }[]).map((problem) => problem.field);
    assert.ok(fields.includes("removal_limit"), JSON.stringify(removal_limit));
  }
  assert.deepEqual(await state(), before);
});

test("impossible and imprecise times get a 422, and valid times are accepted", async (t) => {
  const { server, tenant, sync, state } = await startPipeline(t);
  const before = await state();
  const invalid = [
    "2024-02-30T00:00:00Z",
    "2023-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2024-13-01T00:00:00Z",
    "2024-00-01T00:00:00Z",
    "2024-01-00T00:00:00Z",
    "2024-04-31T00:00:00Z",
    "2024-01-01T24:00:00Z",
    "2024-01-01T00:60:00Z",
    "2016-12-31T23:59:60Z",
    "2024-01-01T00:00:00+24:00",
    "2024-01-01T00:00:00+00:60",
    "2024-01-01T00:00:00.1234567890Z",
    "2024-01-01T00:00:00.Z",
    "2024-01-01T00:00:00,5Z",
    "2024-01-01 00:00:00Z",
    "2024-01-01",
    "2024-1-1T00:00:00Z",
    "20240101T000000Z",
    "+02024-01-01T00:00:00Z",
    "2024-01-01T00:00:00Z ",
    "٢٠٢٤-01-01T00:00:00Z",
    "1704067200",
    "now",
    "",
  ];
  for (const text of invalid) {
    await t.test(JSON.stringify(text), async () => {
      assertFieldError(
        await sync({ sync_timestamp: text, operations: [upsert("a")] }),
        "sync_timestamp",
        "INVALID_DATE_TIME",
      );
      const answer = await sync({ operations: [upsert("a", { updated_at: text })] });
      assertFieldError(answer, "operations[0].updated_at", "INVALID_DATE_TIME");
    });
  }
  await t.test("a sync timestamp without a zone gets a 422", async () => {
    const answer = await sync({ sync_timestamp: "2024-01-01T00:00:00" });
    assertFieldError(answer, "sync_timestamp", "INVALID_DATE_TIME");
  });
  await t.test("a sync timestamp before 1970 gets a 422", async () => {
    const answer = await sync({ sync_timestamp: "1970-01-01T00:59:59.999999999+01:00" });
    assertFieldError(answer, "sync_timestamp", "TOO_SMALL");
  });
  assert.deepEqual(await state(), before);

  for (const text of [
    "1970-01-01T00:00:00Z",
    "2024-02-29T23:59:59.999999999Z",
    "2000-02-29T00:00:00-23:59",
    "2025-11-11T10:30:00+0530",
  ]) {
    await t.test(`${text} is accepted`, async () => {
      const operations = [upsert("a", { created_at: text, updated_at: text })];
      assert.equal((await sync({ sync_timestamp: text, operations })).status, 200);
    });
  }
  await t.test("created_at and updated_at need no zone and accept any year", async () => {
    const operations = [
      upsert("a", { created_at: "0001-01-01T00:00:00", updated_at: "9999-12-31T23:59:59.5" }),
    ];
    assert.equal((await sync({ operations })).status, 200);
  });
  await t.test("nanoseconds determine which sync is newer", async () => {
    const at = (ns: string, n: number) =>
      sync({ sync_timestamp: `2025-11-11T11:00:00.${ns}Z`, operations: [upsert("b", { data: { n } })] });
    assert.equal((await at("000000002", 2)).body.changes.created, 1);
    assert.equal((await at("000000001", 1)).body.changes.stale, 1);
    assert.equal((await at("000000003", 3)).body.changes.updated, 1);
  });
  assert.equal(
    (await server.post("/v1/pipeline/sync", syncBody(tenant), { "x-api-key": tenant.key })).status,
    200,
  );
});

test("a check-exists with an invalid type, value or field gets a 422 that names the field", async (t) => {
  const { server, tenant, checkExists, headers } = await startPipeline(t);
  const bad: Record<string, [fields: Record<string, unknown>, errors: FieldErrors]> = {
    "an organization that is a number": [{ organization_id: 5 }, { organization_id: "INVALID_TYPE" }],
    "a store without its prefix": [{ vector_store_id: "a" }, { vector_store_id: "INVALID_FORMAT" }],
    "a namespace that is a number": [{ namespace: 5 }, { namespace: "INVALID_TYPE" }],
    "an empty namespace": [{ namespace: "" }, { namespace: "TOO_SHORT" }],
    "a missing namespace": [{ namespace: undefined }, { namespace: "REQUIRED" }],
    "ids that are a string": [{ ids: "a" }, { ids: "INVALID_TYPE" }],
    "ids that are null": [{ ids: null }, { ids: "INVALID_TYPE" }],
    "ids that are missing": [{ ids: undefined }, { ids: "REQUIRED" }],
    "ids of wrong types": [
      { ids: ["a", 5, null, true, ["a"], { id: "a" }] },
      Object.fromEntries([1, 2, 3, 4, 5].map((i) => [`ids[${i}]`, "INVALID_TYPE"])),
    ],
    "ids that are empty or too long": [
      { ids: ["", "x".repeat(256)] },
      { "ids[0]": "TOO_SHORT", "ids[1]": "TOO_LONG" },
    ],
    "an unknown field": [{ sync_mode: "incremental" }, { sync_mode: "UNKNOWN_FIELD" }],
  };
  for (const [name, [fields, errors]] of Object.entries(bad)) {
    await t.test(name, async () => {
      const answer = await checkExists(fields);
      for (const [field, code] of Object.entries(errors)) assertFieldError(answer, field, code);
      assert.equal(answer.body.error.details.total_errors, Object.keys(errors).length);
    });
  }
  await t.test("text and numbers that cannot be stored exactly", async () => {
    const ids = `"organization_id":"${tenant.organizationId}","vector_store_id":"${tenant.storeId}"`;
    const ask = (text: string) => server.post(CHECK_EXISTS, `{${ids},${text}}`, headers);
    assertFieldError(await ask(String.raw`"namespace":"n","ids":["\ud800"]`), "ids[0]", "INVALID_TEXT");
    assertFieldError(await ask(String.raw`"namespace":"\u0000","ids":[]`), "namespace", "INVALID_TEXT");
    assertFieldError(await ask(`"namespace":"n","ids":[1e400]`), "ids[0]", "INEXACT_NUMBER");
    assertFieldError(await ask(`"namespace":"n","ids":[],"__proto__":1`), "__proto__", "UNKNOWN_FIELD");
    assertError(await ask(`"namespace":"n","ids":[}`), "INVALID_JSON");
  });
});
