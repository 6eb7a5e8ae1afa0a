import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { LONG } from "../long.ts";
import { syncBody } from "../test-server.ts";
import { assertError } from "./error-answer.ts";
import { CHECK_EXISTS, type Pipeline, SYNC, startPipeline, upsert } from "./pipeline.ts";

const RUNS = LONG ? 5000 : 250;

/** Arbitrary values, including those that parsers and databases often mishandle. */
const anyValue = fc.oneof(
  fc.constantFrom(
    null,
    true,
    0,
    -0,
    5,
    1e21,
    1e-7,
    "",
    "\0",
    "\ud800",
    "😀",
    [],
    {},
    "upsert",
    "full_refresh",
    "run",
    "continue",
    "0%",
    "100%",
  ),
  fc.constantFrom("x".repeat(256), "2024-02-30T00:00:00Z", "2999-01-01T00:00:00Z", "__proto__", "org_x"),
  fc.jsonValue({ maxDepth: 4 }),
  fc.string({ unit: "binary" }),
);
const anyKey = fc.oneof(
  fc.constantFrom(
    "__proto__",
    "constructor",
    "id",
    "namespace",
    "data",
    "namespaces",
    "operations",
    "last_batch",
    "refresh_id",
    "expected_operations",
    "removal_limit",
    "dry_run",
    "on_error",
  ),
  fc.string(),
);

/** One change to a JSON value, which replaces, removes or adds a member or an item. */
interface Mutation {
  where: number;
  kind: "replace" | "remove" | "add";
  key: string;
  value: unknown;
}
const mutation: fc.Arbitrary<Mutation> = fc.record({
  where: fc.nat(200),
  kind: fc.constantFrom("replace", "remove", "add"),
  key: anyKey,
  value: anyValue,
});

function mutate(root: unknown, { where, kind, key, value: original }: Mutation): unknown {
  // Runs share values, and the next mutation may change them.
  const value = JSON.parse(JSON.stringify(original));
  const holder = { root } as Record<string, unknown>;
  const places: [object: Record<string, unknown>, key: string][] = [];
  const visit = (object: Record<string, unknown>) => {
    for (const name of Object.keys(object)) {
      places.push([object, name]);
      const item = object[name];
      if (typeof item === "object" && item !== null) visit(item as Record<string, unknown>);
    }
  };
  visit(holder);
  const [object, name] = places[where % places.length]!;
  const target = object[name];
  if (kind === "remove") {
    if (Array.isArray(object)) object.splice(Number(name), 1);
    else delete object[name];
  } else if (kind === "add" && Array.isArray(target)) target.push(value);
  else if (kind === "add" && typeof target === "object" && target !== null) define(target, key, value);
  else define(object, name, value);
  return holder.root;
}

/** Sets an own property, even if it is named __proto__. */
function define(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Asserts that the server does not fail and that a rejected request changes nothing. */
async function assertHarmless(pipeline: Pipeline, path: string, body: string | Uint8Array, gzip = false) {
  const { server, headers, state } = pipeline;
  const before = await state();
  const encoding = gzip ? { "content-encoding": "gzip" } : {};
  const answer = await server.post(path, body, { ...headers, ...encoding });
  assert.ok(answer.status < 500, JSON.stringify(answer.body));
  if (answer.status !== 200) {
    assertError(answer, answer.body.error.code);
    assert.deepEqual(await state(), before);
  } else if (path === CHECK_EXISTS) {
    assert.deepEqual(await state(), before);
    const { existing_ids, new_ids, total_checked } = answer.body;
    assert.equal(total_checked, existing_ids.length + new_ids.length);
  } else {
    const { status, sync_id, processed, results, changes, refresh } = answer.body;
    const { cleared, ...decided } = changes as Record<string, number>;
    const sum = Object.values(decided).reduce((sum, count) => sum + count, 0);
    assert.equal(processed, results.upserted + results.deleted + results.failed);
    if (status === "staged") assert.deepEqual([sum, cleared], [0, 0]);
    // The answer to a last batch counts the whole run, not only this request.
    else if (refresh === undefined) assert.equal(sum, processed - results.failed);
    assert.ok(cleared! >= 0);
    if (status === "planned") assert.deepEqual([sync_id, await state()], [null, before]);
  }
  return answer;
}

function validBodies({ tenant }: Pipeline): [path: string, body: () => unknown][] {
  const { organizationId: organization_id, storeId: vector_store_id } = tenant;
  const file = { file_url: "https://files.example/a", file_relative_path: "a", source_file_url: "b" };
  const operations = () => [
    upsert("a", { data: { title: "x", n: [1, { deep: null }] }, source_system: "airbyte", file }),
    upsert("b", { created_at: "2025-01-01T00:00:00", updated_at: "2025-01-01T00:00:00Z" }),
    { action: "delete", id: "c", namespace: "other" },
  ];
  const refresh = { sync_mode: "full_refresh" };
  const part = { sync_timestamp: "2025-11-11T10:30:01Z", refresh_id: "run" };
  return [
    [SYNC, () => syncBody(tenant, { operations: operations() })],
    [SYNC, () => syncBody(tenant, { operations: operations(), ...refresh, namespaces: ["n"] })],
    [SYNC, () => syncBody(tenant, { operations: operations(), ...refresh, ...part, last_batch: false })],
    [SYNC, () => syncBody(tenant, { operations: operations(), ...refresh, ...part, expected_operations: 3 })],
    [SYNC, () => syncBody(tenant, { operations: operations(), ...refresh, dry_run: true })],
    [SYNC, () => syncBody(tenant, { operations: operations(), on_error: "continue", removal_limit: "50%" })],
    [CHECK_EXISTS, () => ({ organization_id, vector_store_id, namespace: "tasks", ids: ["a", "b", "z"] })],
  ];
}

test("a mutated body never causes a server error, and a rejected one changes nothing", async (t) => {
  const pipeline = await startPipeline(t);
  const bodies = validBodies(pipeline);
  for (const [path, body] of bodies) {
    const answer = await assertHarmless(pipeline, path, JSON.stringify(body()));
    assert.ok([200, 409].includes(answer.status), JSON.stringify(answer.body));
  }
  const statuses = new Set<number>();
  await fc.assert(
    fc.asyncProperty(
      fc.nat(bodies.length - 1),
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
      async (which, mutations) => {
        const [path, body] = bodies[which]!;
        const text = JSON.stringify(mutations.reduce(mutate, body())) ?? "";
        statuses.add((await assertHarmless(pipeline, path, text)).status);
      },
    ),
    { numRuns: RUNS },
  );
  assert.ok(statuses.has(200) && statuses.has(422), `the mutations reach ${[...statuses]}`);
});

test("damaged bytes never cause a server error, compressed or not", async (t) => {
  const pipeline = await startPipeline(t);
  const bodies = validBodies(pipeline);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(bodies.length - 1),
      fc.boolean(),
      fc.nat(),
      fc.nat(20),
      fc.uint8Array({ maxLength: 12 }),
      async (which, gzip, at, removed, inserted) => {
        const [path, body] = bodies[which]!;
        const text = Buffer.from(JSON.stringify(body()));
        const bytes = gzip ? gzipSync(text) : text;
        const start = at % bytes.length;
        const damaged = Buffer.concat([bytes.subarray(0, start), inserted, bytes.subarray(start + removed)]);
        await assertHarmless(pipeline, path, damaged, gzip);
      },
    ),
    { numRuns: RUNS },
  );
});

test("arbitrary bytes never cause a server error", async (t) => {
  const pipeline = await startPipeline(t);
  const path = fc.constantFrom(SYNC, CHECK_EXISTS, "/v1/connectors/pipeline/sync");
  await fc.assert(
    fc.asyncProperty(
      path,
      fc.boolean(),
      fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.json().map(Buffer.from)),
      async (path, gzip, bytes) => {
        const answer = await assertHarmless(pipeline, path, bytes, gzip);
        assert.notEqual(answer.status, 200);
      },
    ),
    { numRuns: RUNS },
  );
});
