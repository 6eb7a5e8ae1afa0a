import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { openStorage } from "../../src/storage/open.ts";
import { sqlitePath } from "../../src/storage/sqlite/path.ts";
import { createDamaged } from "../damaged-database.ts";
import { engines } from "../engines.ts";
import { runTidemark } from "../server-process.ts";
import { ledgerOver, openTestLedger, storeOf } from "../test-ledger.ts";
import { temporaryFolder } from "../test-server.ts";
import { whenDone } from "../when-done.ts";

const sqlite = engines.find(({ name }) => name === "SQLite")!;
const postgres = engines.find(({ name }) => name === "PostgreSQL")!;

const upserts = (count: number, data: object) =>
  Array.from({ length: count }, (_, index) => ({
    action: "upsert",
    id: `r${index}`,
    namespace: "tasks",
    data,
  }));

/** A database with a store, and a function that runs `tidemark backup` into a folder. */
async function openDatabase(t: TestContext) {
  const ledger = await openTestLedger(t, sqlite);
  const store = await ledger.createStore();
  const file = `${await temporaryFolder(t)}/copy.db`;
  const backUp = () => runTidemark(["backup", file], { TIDEMARK_DATABASE_URL: ledger.databaseUrl });
  return { ...ledger, store, file, copyUrl: `file:${file}`, backUp };
}

test("tidemark backup during syncs copies a state between two of them, and a server can use the copy", async (t) => {
  const { store, file, copyUrl, backUp } = await openDatabase(t);
  const operations = (round: number) => upserts(500, { round, text: "x".repeat(500) });
  await store.sync({ operations: operations(0) });
  let finished = false;
  const running = backUp().finally(() => {
    finished = true;
  });
  let rounds = 1;
  while (!finished) {
    await store.sync({ operations: operations(rounds++) });
    // Lets the event of the program's end arrive.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { code, stdout, stderr } = await running;
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^Backed up to .*copy\.db \(\d+ KiB\)\.\n$/);
  assert.ok(rounds > 2, "there were syncs meanwhile");
  assert.ok(!existsSync(`${file}.partial`) && !existsSync(`${file}-wal`));

  const storage = await openStorage(copyUrl);
  whenDone(t, () => storage.close());
  const { commands } = ledgerOver(storage);
  const { organizationId, storeId } = store;
  const records = await commands.listRecords(organizationId, storeId, {
    namespace: "tasks",
    limit: 100,
  });
  const found = new Set(records.data.map(({ data }) => (data as { round: number }).round));
  assert.equal(found.size, 1, "all records are of one sync");
  const syncs = await commands.listSyncs(organizationId, storeId, { limit: 1 }, null);
  const revision = await storage.read((sql) => sql.all("SELECT revision FROM store_revisions"));
  assert.equal(revision[0]!.revision, [...found][0]! + 1);
  assert.equal(syncs.data.length, 1);
  const verified = await commands.verifyStore(storeId);
  assert.deepEqual(
    verified.map(({ in_sync, records }) => [in_sync, records]),
    [[true, 500]],
  );
  assert.equal((await storeOf(commands, store).sync({ operations: operations(0) })).changes.updated, 500);
});

test("tidemark backup never overwrites a file, but replaces the partial file of an interrupted backup", async (t) => {
  const { file, backUp } = await openDatabase(t);
  writeFileSync(`${file}.partial`, "left behind");
  assert.equal((await backUp()).code, 0);
  const copy = readFileSync(file);
  const again = await backUp();
  assert.deepEqual([again.code, again.stderr], [1, `tidemark: ${file} already exists.\n`]);
  assert.deepEqual(readFileSync(file), copy);
});

test("tidemark backup gives the copy the database's permissions", async (t) => {
  const { databaseUrl, file, backUp } = await openDatabase(t);
  chmodSync(sqlitePath(databaseUrl), 0o600);
  await backUp();
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test("tidemark backup copies a database of another version unchanged", async (t) => {
  const { databaseUrl, file, backUp } = await openDatabase(t);
  await sqlite.pretendNewerSchema(databaseUrl);
  assert.equal((await backUp()).code, 0);
  await assert.rejects(openStorage(`file:${file}`), /schema 999999/);
});

test("tidemark backup leaves no file if the database is missing or damaged", async (t) => {
  const databaseUrl = await createDamaged(t);
  const path = sqlitePath(databaseUrl);
  const file = `${path}.copy`;
  const damaged = await runTidemark(["backup", file], { TIDEMARK_DATABASE_URL: databaseUrl });
  assert.equal(damaged.code, 1);
  assert.match(damaged.stderr, /^tidemark: .*\n$/);
  assert.ok(!existsSync(file));

  const none = await runTidemark(["backup", file], { TIDEMARK_DATABASE_URL: `file:${path}.none` });
  assert.deepEqual([none.code, none.stderr], [1, `tidemark: There is no database ${path}.none.\n`]);
  assert.ok(!existsSync(`${path}.none`) && !existsSync(file));
});

test("tidemark backup names the command that backs up PostgreSQL, without the password", async (t) => {
  const url = new URL(await postgres.createDatabase(t));
  url.password = "secret";
  const schema = url.searchParams.get("schema");
  const { code, stderr } = await runTidemark(["backup", "copy.dump"], { TIDEMARK_DATABASE_URL: url.href });
  assert.equal(code, 1);
  assert.match(
    stderr,
    new RegExp(`pg_dump --format=custom --schema=${schema} --file=copy\\.dump "postgres://`),
  );
  assert.doesNotMatch(stderr, /secret/);
});
