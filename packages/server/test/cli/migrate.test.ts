import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Client } from "pg";
import { openStorage } from "../../src/storage/open.ts";
import { engines } from "../engines.ts";
import { startPostgres } from "../postgres-server.ts";
import { runTidemark } from "../server-process.ts";
import { ledgerOver } from "../test-ledger.ts";
import { whenDone } from "../when-done.ts";

for (const engine of engines) {
  describe(`${engine.name}: tidemark migrate`, () => {
    test("creates the schema of an empty database, and then finds it up to date", async (t) => {
      const databaseUrl = await engine.createDatabase(t);
      const settings = { TIDEMARK_DATABASE_URL: databaseUrl };
      const first = await runTidemark(["migrate"], settings);
      assert.deepEqual([first.code, first.stderr], [0, ""]);
      assert.match(first.stdout, /^Migrated the schema from 0 to (\d+)\.\n/);
      const second = await runTidemark(["migrate", "--json"], settings);
      const { from, to, distributed } = JSON.parse(second.stdout);
      assert.equal(from, Number(/to (\d+)\./.exec(first.stdout)![1]));
      assert.deepEqual([to, distributed], [from, []]);
      const storage = await openStorage(databaseUrl);
      whenDone(t, () => storage.close());
      await ledgerOver(storage).createStore();
    });

    test("rejects a schema of a later version in one line", async (t) => {
      const databaseUrl = await engine.createDatabase(t);
      await (await openStorage(databaseUrl)).close();
      await engine.pretendNewerSchema(databaseUrl);
      const { code, stdout, stderr } = await runTidemark(["migrate"], { TIDEMARK_DATABASE_URL: databaseUrl });
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^tidemark: .*schema 999999.*\n$/);
    });
  });
}

test("PostgreSQL: a role that owns the schema needs no right to create schemas", async (t) => {
  // Roles belong to a whole server, so this test gets its own.
  const server = await startPostgres();
  whenDone(t, () => server.remove());
  const client = new Client({ connectionString: server.url });
  await client.connect();
  await client.query("CREATE ROLE narrow LOGIN; CREATE SCHEMA tidemark AUTHORIZATION narrow");
  await client.end();
  const url = new URL(server.url);
  url.username = "narrow";
  const { code, stdout } = await runTidemark(["migrate"], { TIDEMARK_DATABASE_URL: url.href });
  assert.equal(code, 0);
  assert.match(stdout, /^Migrated the schema from 0 /);
  const other = await runTidemark(["migrate"], { TIDEMARK_DATABASE_URL: `${url.href}?schema=another` });
  assert.equal(other.code, 1);
  assert.match(other.stderr, /^tidemark: .*permission denied for database.*\n$/);
});

test("tidemark migrate --citus rejects SQLite", async (t) => {
  const databaseUrl = await engines[0]!.createDatabase(t);
  const { code, stderr } = await runTidemark(["migrate", "--citus"], { TIDEMARK_DATABASE_URL: databaseUrl });
  assert.deepEqual([code, stderr], [1, "tidemark: Only PostgreSQL with Citus can distribute tables.\n"]);
});
