import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, type TestContext, test } from "node:test";
import type { Finding } from "../../src/storage/finding.ts";
import { sqlitePath } from "../../src/storage/sqlite/path.ts";
import { createDamaged } from "../damaged-database.ts";
import { engines, type TestEngine } from "../engines.ts";
import { runTidemark } from "../server-process.ts";
import { openTestLedger } from "../test-ledger.ts";
import { exportToBuffer, openTarget } from "../transfer/rich-ledger.ts";

const upsert = (id: string) => ({ action: "upsert", id, namespace: "tasks" });

/** The findings of `tidemark doctor --json`, by check. */
async function runDoctor(databaseUrl: string, settings: Record<string, string> = {}) {
  const environment = { TIDEMARK_DATABASE_URL: databaseUrl, ...settings };
  const { code, stdout, stderr } = await runTidemark(["doctor", "--json"], environment);
  assert.equal(stderr, "");
  const checks = JSON.parse(stdout).checks as Finding[];
  for (const { check, status, advice } of checks) {
    assert.equal(advice !== undefined, status !== "ok", `${check}: what is not ok says what to do`);
  }
  return { code, found: Object.fromEntries(checks.map((finding) => [finding.check, finding])) };
}

/** A ledger with this machine's clock. */
async function openLedger(t: TestContext, engine: TestEngine) {
  const ledger = await openTestLedger(t, engine);
  ledger.clock.now = Date.now();
  return ledger;
}

for (const engine of engines) {
  describe(`${engine.name}: tidemark doctor`, () => {
    test("prints the checks of a sound database as lines and as JSON", async (t) => {
      const { databaseUrl, createStore, clock } = await openLedger(t, engine);
      const { sync } = await createStore();
      await sync({ operations: [upsert("a")] });
      const { code, found } = await runDoctor(databaseUrl);
      assert.equal(code, 0);
      for (const check of ["database", "schema", "last sync", "refreshes", "maintenance", "imports"]) {
        assert.equal(found[check]!.status, "ok", check);
      }
      assert.match(found.database!.message, new RegExp(`${engine.name} \\d+\\.`));
      assert.equal(found["last sync"]!.message, `at ${new Date(clock.now).toISOString()}`);
      const text = await runTidemark(["doctor"], { TIDEMARK_DATABASE_URL: databaseUrl });
      assert.equal(text.code, 0);
      assert.match(text.stdout, /^ok {7}database +\S/m);
      assert.equal(text.stdout.match(/^(ok|warning|failed) /gm)!.length, Object.keys(found).length);
    });

    test("fails on a database of a later version, and names the version", async (t) => {
      const { databaseUrl } = await openLedger(t, engine);
      await engine.pretendNewerSchema(databaseUrl);
      const { code, found } = await runDoctor(databaseUrl);
      assert.equal(code, 1);
      assert.equal(found.schema!.status, "failed");
      assert.match(found.schema!.message, /schema 999999/);
    });

    test("finds refreshes that no server expires, and unfinished imports", async (t) => {
      const { databaseUrl, createStore, clock, storage } = await openLedger(t, engine);
      const { sync } = await createStore();
      const run = { sync_mode: "full_refresh" as const, last_batch: false };
      await sync({ ...run, refresh_id: "in time", operations: [upsert("a")] });
      clock.now -= 26 * 3_600_000;
      await sync({ ...run, refresh_id: "forgotten", operations: [upsert("a")] });
      const bytes = await exportToBuffer(storage);
      const target = await openTarget(t, engine);
      await assert.rejects(target.import(bytes.subarray(0, bytes.length - 9)));

      const { code, found } = await runDoctor(databaseUrl);
      assert.equal(code, 0, "a warning is no failure");
      assert.deepEqual(
        [found.refreshes!.status, found.refreshes!.message],
        ["warning", "2 in progress, 1 overdue"],
      );
      const { export_id } = JSON.parse(bytes.toString().split("\n")[0]!);
      const { imports } = (await runDoctor(target.databaseUrl)).found;
      assert.equal(imports!.status, "warning");
      assert.match(imports!.advice!, new RegExp(`--discard ${export_id}$`));
    });

    test("finds a clock that is behind the last sync", async (t) => {
      const { databaseUrl, createStore, clock } = await openLedger(t, engine);
      clock.now += 10 * 60_000;
      await (await createStore()).sync({ operations: [upsert("a")] });
      const { code, found } = await runDoctor(databaseUrl);
      assert.deepEqual([code, found["last sync"]!.status], [1, "failed"]);
    });

    test("reports that the next start creates a missing database, and does not create it", async (t) => {
      const databaseUrl = await engine.createDatabase(t);
      for (let round = 0; round < 2; round++) {
        const { code, found } = await runDoctor(databaseUrl);
        assert.equal(code, 0);
        const { status, advice } = found.schema ?? found.database!;
        assert.equal(status, "warning");
        assert.match(advice!, /creates it/);
      }
    });
  });
}

test("SQLite: tidemark doctor checks disk space and the log, and finds a damaged file", async (t) => {
  const { databaseUrl } = await openLedger(t, engines[0]!);
  const { found } = await runDoctor(databaseUrl);
  assert.match(found["disk space"]!.message, /^\d+ MiB free in /);
  assert.deepEqual([found.log!.status, found.file!.status], ["ok", "ok"]);
  const damaged = await runDoctor(await createDamaged(t));
  assert.equal(damaged.code, 1);
  assert.match(damaged.found.file?.advice ?? damaged.found.database!.advice!, /last backup/);
});

test("SQLite: tidemark doctor creates no file if there is no database", async (t) => {
  const databaseUrl = await engines[0]!.createDatabase(t);
  assert.equal((await runDoctor(databaseUrl)).found.database!.status, "warning");
  assert.ok(!existsSync(sqlitePath(databaseUrl)));
});

test("PostgreSQL: tidemark doctor checks durability, connections and the clock", async (t) => {
  const { databaseUrl, storage } = await openLedger(t, engines.find(({ name }) => name === "PostgreSQL")!);
  const [server] = await storage.read((sql) =>
    sql.all(
      `SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
         CAST(current_setting('max_connections') AS integer) AS connections`,
    ),
  );
  const { found } = await runDoctor(databaseUrl);
  const durable = server!.fsync === "on" && server!.full_page_writes === "on";
  assert.equal(found.durability!.status, durable ? "ok" : "warning");
  assert.match(
    found.durability!.message,
    new RegExp(`^fsync ${server!.fsync}, .*synchronous_commit (on|remote_apply)$`),
  );
  assert.match(found.clock!.message, /differ by \d+ ms$/);
  assert.match(found.connections!.message, /up to 15$/);
  const all = await runDoctor(databaseUrl, { TIDEMARK_DATABASE_CONNECTIONS: "1000" });
  assert.equal(all.found.connections!.status, Number(server!.connections) < 1000 ? "failed" : "ok");
  assert.equal(all.code, Number(server!.connections) < 1000 ? 1 : 0);
});

test("PostgreSQL: tidemark doctor checks for pgvector, which only embeddings need", async (t) => {
  const { databaseUrl, storage } = await openLedger(t, engines.find(({ name }) => name === "PostgreSQL")!);
  const [installed] = await storage.read((sql) =>
    sql.all("SELECT extversion FROM pg_extension WHERE extname = 'vector'"),
  );
  assert.equal((await runDoctor(databaseUrl)).found.pgvector!.status, "ok");
  const embeds = { TIDEMARK_EMBEDDINGS_URL: "http://127.0.0.1:1/v1", TIDEMARK_EMBEDDINGS_MODEL: "model" };
  const { pgvector } = (await runDoctor(databaseUrl, embeds)).found;
  if (installed) assert.match(pgvector!.message, /^version /);
  else {
    assert.equal(pgvector!.status, "warning");
    assert.match(pgvector!.advice!, /CREATE EXTENSION vector/);
  }
});

test("PostgreSQL: tidemark doctor reports why it cannot reach the server, without the password", async () => {
  const { code, found } = await runDoctor("postgres://someone:secret@127.0.0.1:1/nowhere");
  assert.equal(code, 1);
  assert.equal(found.database!.status, "failed");
  assert.match(found.database!.message, /ECONNREFUSED/);
  assert.doesNotMatch(JSON.stringify(found), /secret/);
});

test("tidemark doctor rejects a URL of an unknown engine in one line", async () => {
  const { code, stderr } = await runTidemark(["doctor"], { TIDEMARK_DATABASE_URL: "mysql://localhost/x" });
  assert.equal(code, 1);
  assert.match(stderr, /^tidemark: TIDEMARK_DATABASE_URL must begin with file: or postgres:\/\/\.\n$/);
});
