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
    test("makes the schema of an empty database, and finds it up to date the next time", async (t) => {
      const databaseUrl = await engine.createDatabase(t);
      const settings = { TIDEMARK_DATABASE_URL: databaseUrl };
      const first = await runTidemark(["migrate"], settings);
      assert.deepEqual([first.code, first.stderr], [0, ""]);
      assert.match(first.stdout, /^The schema was 0 and is (\d+) now\.\n/);
      const second = await runTidemark(["migrate", "--json"], settings);
      const { from, to, distributed } = JSON.parse(second.stdout);
      assert.equal(from, Number(/is (\d+) now/.exec(first.stdout)![1]));
      assert.deepEqual([to, distributed], [from, []]);
      const storage = await openStorage(databaseUrl);
      whenDone(t, () => storage.close());
      await ledgerOver(storage).createStore();
    });

    test("refuses a schema of a later version in one line", async (t) => {
      const databaseUrl = await engine.createDatabase(t);
      await (await openStorage(databaseUrl)).close();
      await engine.pretendNewerSchema(databaseUrl);
      const { code, stdout, stderr } = await runTidemark(["migrate"], { TIDEMARK_DATABASE_URL: databaseUrl });
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^tidemark: .*schema 999999.*\n$/);
    });
  });
}

test("PostgreSQL: a role that owns the schema needs no right to make one", async (t) => {
  // Roles are the server's: this one gets a server of its own.
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
  assert.match(stdout, /^The schema was 0 /);
  const other = await runTidemark(["migrate"], { TIDEMARK_DATABASE_URL: `${url.href}?schema=another` });
  assert.equal(other.code, 1);
  assert.match(other.stderr, /^tidemark: .*permission denied for database.*\n$/);
});

test("tidemark migrate: an embedded database cannot be distributed", async (t) => {
  const databaseUrl = await engines[0]!.createDatabase(t);
  const { code, stderr } = await runTidemark(["migrate", "--citus"], { TIDEMARK_DATABASE_URL: databaseUrl });
  assert.deepEqual([code, stderr], [1, "tidemark: Only PostgreSQL with Citus can distribute tables.\n"]);
});
