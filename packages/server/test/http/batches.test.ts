import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { syncBody } from "../test-server.ts";
import { assertError, assertFieldError } from "./error-answer.ts";
import { startPipeline, upsert } from "./pipeline.ts";

const operations = (count: number) =>
  Array.from({ length: count }, (_, i) => upsert(`id ${i}`, { data: { i } }));
const ids = (count: number) => Array.from({ length: count }, (_, i) => `id ${i}`);

test("5000 operations or ids are accepted, and more get a 400 with the limit and the number received", async (t) => {
  const { sync, checkExists, state } = await startPipeline(t);
  const full = await sync({ operations: operations(5000) });
  assert.equal(full.status, 200);
  assert.deepEqual([full.body.processed, full.body.changes.created], [5000, 5000]);
  assert.equal((await checkExists({ ids: ids(5000) })).body.existing_ids.length, 5000);
  const before = await state();

  for (const sync_mode of ["incremental", "full_refresh"]) {
    const answer = await sync({ sync_mode, operations: operations(5001) });
    assert.deepEqual(assertError(answer, "BATCH_SIZE_EXCEEDED"), { limit: 5000, received: 5001 });
  }
  const tooManyIds = await checkExists({ ids: ids(7000) });
  assert.deepEqual(assertError(tooManyIds, "BATCH_SIZE_EXCEEDED"), { limit: 5000, received: 7000 });
  await t.test("too many operations get the 400 even if other fields are invalid", async () => {
    const answer = await sync({ operations: Array(5001).fill(null), sync_mode: 5, x: 1 });
    assert.deepEqual(assertError(answer, "BATCH_SIZE_EXCEEDED"), { limit: 5000, received: 5001 });
  });
  assert.deepEqual(await state(), before);
});

test("a batch whose last operation is invalid writes nothing, and the error names the operation", async (t) => {
  const { sync, existing, state } = await startPipeline(t);
  const before = await state();
  const batch = operations(5000) as Record<string, unknown>[];
  batch[4999] = { ...batch[4999], id: "" };
  const answer = await sync({ operations: batch });
  assertFieldError(answer, "operations[4999].id", "TOO_SHORT");
  assert.match(answer.body.error.message, /operations\[4999\]\.id/);
  assert.equal(answer.body.error.details.total_errors, 1);
  assert.deepEqual(await existing("tasks", ids(5000)), []);
  assert.deepEqual(await state(), before);
});

test("an answer lists the first 100 errors and counts all of them", async (t) => {
  const { sync, send, checkExists, tenant, state } = await startPipeline(t);
  const before = await state();
  const listed = (fields: string[]) => fields.slice(0, 100);

  const wrongIds = await sync({
    operations: operations(400)
      .map((operation, i) => (i % 2 ? operation : { ...operation, id: i }))
      .slice(0, 300),
  });
  const { errors, total_errors } = assertError(wrongIds, "VALIDATION_ERROR");
  assert.equal(total_errors, 150);
  assert.deepEqual(
    errors.map(({ field }: { field: string }) => field),
    listed(Array.from({ length: 150 }, (_, i) => `operations[${2 * i}].id`)),
  );

  const wrongQuestion = await checkExists({ ids: Array(5000).fill(7) });
  const idErrors = assertError(wrongQuestion, "VALIDATION_ERROR");
  assert.equal(idErrors.total_errors, 5000);
  assert.deepEqual(
    idErrors.errors.map(({ field }: { field: string }) => field),
    listed(Array.from({ length: 5000 }, (_, i) => `ids[${i}]`)),
  );

  const unknown = Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`x${i}`, i]));
  const fieldErrors = assertError(await sync(unknown), "VALIDATION_ERROR");
  assert.deepEqual([fieldErrors.errors.length, fieldErrors.total_errors], [100, 150]);

  const inexact = JSON.stringify(
    syncBody(tenant, { operations: [upsert("a", { data: { n: Array(150).fill(0.5) } })] }),
  ).replaceAll("0.5", "1e400");
  const numberErrors = assertError(await send(inexact), "VALIDATION_ERROR");
  assert.deepEqual([numberErrors.errors.length, numberErrors.total_errors], [100, 150]);
  assert.equal(numberErrors.errors[99].field, "operations[0].data.n[99]");
  assert.deepEqual(await state(), before);
});

test("a body with hundreds of thousands of errors gets an ordinary 422", async (t) => {
  const { sync, send, tenant, state } = await startPipeline(t);
  const before = await state();
  const fields = Object.fromEntries(Array.from({ length: 150_000 }, (_, i) => [`x${i}`, 0]));
  const many = [fields, { operations: [{ ...upsert("a"), ...fields }] }];
  const few = Object.fromEntries(Object.entries(fields).slice(0, 200));
  for (const body of [
    ...many,
    { operations: operations(1000).map((operation) => ({ ...operation, ...few })) },
  ]) {
    const { errors, total_errors } = assertError(await sync(body), "VALIDATION_ERROR");
    assert.equal(errors.length, 100);
    assert.ok(total_errors >= 100);
  }
  const numbers = JSON.stringify(syncBody(tenant, { operations: [upsert("a", { data: { n: ["N"] } })] }));
  const inexact = await send(numbers.replace('"N"', Array(150_000).fill("1e400").join()));
  assert.equal(assertError(inexact, "VALIDATION_ERROR").errors.length, 100);
  assert.deepEqual(await state(), before);
});

test("a sync without operations and a check-exists without ids succeed", async (t) => {
  const { sync, checkExists } = await startPipeline(t);
  const answer = await sync({ operations: [] });
  assert.equal(answer.status, 200);
  assert.deepEqual([answer.body.processed, answer.body.by_namespace], [0, {}]);
  assert.match(answer.body.sync_id, /^sync_/);
  assert.deepEqual((await checkExists({ ids: [] })).body, {
    existing_ids: [],
    new_ids: [],
    total_checked: 0,
  });
});

test("a gzip request has the same effect as an uncompressed one", async (t) => {
  const { server, tenant, headers, send } = await startPipeline(t);
  const body = JSON.stringify(syncBody(tenant, { operations: operations(1000) }));
  const gzip = { "content-encoding": "gzip" };
  const packed = await send(gzipSync(body), gzip);
  assert.equal(packed.status, 200);
  assert.equal(packed.body.changes.created, 1000);
  assert.equal((await send(body)).body.changes.unchanged, 1000);
  const inTwoMembers = Buffer.concat([gzipSync(body.slice(0, 500)), gzipSync(body.slice(500))]);
  assert.equal((await send(inTwoMembers, gzip)).body.changes.unchanged, 1000);
  assert.equal((await send(gzipSync(body), { "content-encoding": "GZIP" })).status, 200);
  assert.equal((await send(body, { "content-encoding": "identity" })).status, 200);
  const question = { organization_id: tenant.organizationId, vector_store_id: tenant.storeId };
  const answer = await server.post(
    "/v1/connectors/pipeline/check-exists",
    gzipSync(JSON.stringify({ ...question, namespace: "tasks", ids: ["id 1", "x"] })),
    { ...headers, ...gzip },
  );
  assert.deepEqual(answer.body, { existing_ids: ["id 1"], new_ids: ["x"], total_checked: 2 });
});
