import assert from "node:assert/strict";
import { once } from "node:events";
import { Socket } from "node:net";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { ApiError } from "@tidemark/protocol/errors";
import { pino } from "pino";
import { openCommands } from "../../src/commands.ts";
import { readConfig } from "../../src/config.ts";
import { openStorage } from "../../src/storage/open.ts";
import { createRoleKey, temporaryFolder } from "../test-server.ts";
import { whenDone } from "../when-done.ts";
import { assertError } from "./error-answer.ts";
import { SYNC, startPipeline, upsert } from "./pipeline.ts";
import { head } from "./raw-request.ts";

test("an internal error gets a 500 without internals, and the log has the cause", async (t) => {
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => lines.push(line) });
  const fault = async () => {
    throw Object.assign(new Error("no such table: inner_secret"), { errstr: "inner_secret" });
  };
  const { server, tenant, sync, checkExists } = await startPipeline(
    t,
    {},
    {
      log,
      wrap: (commands) => ({
        ...commands,
        sync: fault,
        checkExists: fault,
        createVectorStore: fault,
      }),
    },
  );
  const admin = await createRoleKey(server.commands, "admin", tenant.organizationId);
  const path = `/v1/organizations/${tenant.organizationId}/vector-stores`;
  for (const answer of [
    await sync({}),
    await checkExists({}),
    await server.post(path, { name: "x" }, { "x-api-key": admin }),
  ]) {
    assert.deepEqual(assertError(answer, "INTERNAL_ERROR"), {});
    assert.doesNotMatch(JSON.stringify(answer.body) + JSON.stringify([...answer.headers]), /secret|at |\.ts/);
    const logged = lines.map((line) => JSON.parse(line)).filter(({ level }) => level >= 50);
    const cause = logged.find(({ trace_id }) => trace_id === answer.body.error.trace_id)?.cause;
    assert.match(cause.message, /inner_secret/);
    assert.match(cause.stack, /unavailable\.test\.ts/);
  }
});

test("a command that cannot reach the database gets a 503 with the sync's outcome", async (t) => {
  let outcome = "not_applied";
  const { sync, checkExists } = await startPipeline(
    t,
    {},
    {
      wrap: (commands) => {
        const unreachable = async () => {
          throw new ApiError("SERVICE_UNAVAILABLE", { outcome });
        };
        return { ...commands, sync: unreachable, checkExists: unreachable };
      },
    },
  );
  for (outcome of ["not_applied", "unknown"]) {
    for (const answer of [await sync({}), await checkExists({})]) {
      assert.deepEqual(assertError(answer, "SERVICE_UNAVAILABLE"), { outcome });
      assert.match(answer.headers.get("retry-after")!, /^[1-9]\d*$/);
    }
  }
});

test("a sync gets a 503 and changes nothing while another process locks the database", async (t) => {
  const { server, sync, state, existing } = await startPipeline(t);
  await sync({ operations: [upsert("a")] });
  const before = await state();
  const [main] = await server.storage.read((sql) => sql.all("PRAGMA database_list"));
  const locker = new DatabaseSync(String(main!.file));
  locker.exec("BEGIN IMMEDIATE");
  whenDone(t, () => locker.close());
  const rejected = await sync({ operations: [upsert("b")] });
  assert.equal(assertError(rejected, "SERVICE_UNAVAILABLE").outcome, "not_applied");
  assert.ok(Number(rejected.headers.get("retry-after")) >= 1);
  assert.deepEqual(await existing("tasks", ["a", "b"]), ["a"]);
  locker.exec("ROLLBACK");
  assert.deepEqual(await state(), before);
  assert.equal((await sync({ operations: [upsert("b")] })).status, 200);
});

test("with the database closed, health and readiness get a 503, and the process keeps running", async (t) => {
  const folder = await temporaryFolder(t);
  const config = readConfig({}, { databaseUrl: `file:${folder}/closed.db` });
  const storage = await openStorage(config.databaseUrl);
  const closed = openCommands(storage, config);
  await storage.close();
  let away = false;
  const { server, tenant, headers } = await startPipeline(
    t,
    {},
    {
      wrap: (commands) =>
        new Proxy(commands, { get: (open, name) => Reflect.get(away ? closed : open, name) }),
    },
  );
  assert.equal((await server.request("GET", "/readyz")).status, 200);
  away = true;
  const health = await server.request("GET", "/v1/pipeline/health");
  assert.equal(health.status, 503);
  assert.equal(health.body.status, "unhealthy");
  assert.deepEqual(
    health.body.components.map(({ name, status }: { name: string; status: string }) => [name, status]),
    [
      ["database", "unhealthy"],
      ["index", "unhealthy"],
    ],
  );
  const ready = await server.request("GET", "/readyz");
  assert.deepEqual([ready.status, ready.body], [503, { status: "database unreachable" }]);
  assert.equal((await server.request("GET", "/livez")).status, 200);
  const metrics = await fetch(`${server.url}/metrics`);
  assert.equal(metrics.status, 200);
  assert.match(await metrics.text(), /^tidemark_records (Nan|NaN)$/im);
  const answer = await server.post(SYNC, {}, headers);
  assert.ok(answer.status >= 500);
  assertError(answer, answer.body.error.code);
  assert.doesNotMatch(JSON.stringify(answer.body), new RegExp(`sqlite|database is|${tenant.organizationId}`));
});

test("a stopping server answers new requests with 503 and finishes running ones", async (t) => {
  const entered = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  whenDone(t, () => gate.resolve());
  const { server, tenant, sync, existing, checkExists } = await startPipeline(
    t,
    {},
    {
      wrap: (commands) => ({
        ...commands,
        sync: async (...args) => {
          entered.resolve();
          await gate.promise;
          return commands.sync(...args);
        },
      }),
    },
  );
  assert.deepEqual(await existing("tasks", ["a"]), []);
  const running = sync({ operations: [upsert("a")] });
  await entered.promise;
  server.app.drain();
  const management = `/v1/organizations/${tenant.organizationId}/vector-stores`;
  for (const answer of [
    await checkExists({}),
    await server.request("GET", "/v1/pipeline/health"),
    await server.request("GET", management),
    await server.request("GET", "/nowhere"),
  ]) {
    assert.equal(assertError(answer, "SERVICE_UNAVAILABLE").outcome, "not_applied");
    assert.match(answer.headers.get("retry-after")!, /^[1-9]\d*$/);
    assert.equal(answer.headers.get("connection"), "close");
  }
  const ready = await server.request("GET", "/readyz");
  assert.deepEqual([ready.status, ready.body], [503, { status: "draining" }]);
  assert.equal((await server.request("GET", "/livez")).status, 200);
  gate.resolve();
  assert.equal((await running).body.changes.created, 1);
});

test("too many bytes in flight get a 503 until earlier requests end", async (t) => {
  const slow = new Socket();
  whenDone(t, () => slow.destroy());
  const { server, headers, sync, checkExists, existing } = await startPipeline(t, {
    bytesInFlightMax: 100_000,
  });
  slow.connect(Number(new URL(server.url).port), "127.0.0.1");
  const request = head("POST", SYNC, {
    "X-API-Key": headers["x-api-key"]!,
    "Content-Type": "application/json",
    "Content-Length": 99_000,
  });
  slow.write(`${request}{`);
  await once(server.app.server.server, "request");

  const text = "x".repeat(5000);
  const big = { operations: [upsert("a", { data: { text } }), { ...upsert("a"), action: "delete" }] };
  const until = async (status: number) => {
    for (let attempt = 0; attempt < 200; attempt++) {
      const answer = await sync(big);
      if (answer.status === status) return answer;
    }
    return assert.fail(`no ${status}`);
  };
  // The slow request holds its bytes once it is authenticated, so the 503 may take some attempts.
  const rejected = await until(503);
  assert.equal(assertError(rejected, "SERVICE_UNAVAILABLE").outcome, "not_applied");
  assert.ok(Number(rejected.headers.get("retry-after")) >= 1);
  assert.equal((await checkExists({})).status, 200, "a request that fits is served");
  assert.deepEqual(await existing("tasks", ["a"]), []);

  slow.destroy();
  await until(200);
  // A single body always fits, even if it exceeds the limit.
  const huge = { text: "x".repeat(200_000) };
  assert.equal((await sync({ operations: [upsert("b", { data: huge })] })).status, 200);
  const packed = gzipSync(JSON.stringify(huge));
  const unpacked = await server.post(SYNC, packed, { ...headers, "content-encoding": "gzip" });
  assertError(unpacked, "VALIDATION_ERROR");
});
