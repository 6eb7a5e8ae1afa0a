import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { describe, type TestContext, test } from "node:test";
import { engines, type TestEngine } from "../engines.ts";
import { cleanEnvironment, runTidemark, TIDEMARK } from "../server-process.ts";
import { temporaryFolder } from "../test-server.ts";
import { whenDone } from "../when-done.ts";
import { openRichLedger, openTarget, readStoreRows } from "./rich-ledger.ts";

/** A full and an empty database, and the program for each. */
async function openPrograms(t: TestContext, engine: TestEngine) {
  const source = await openRichLedger(t, engine);
  const target = await openTarget(t, engines[0]!);
  const at = ({ databaseUrl }: { databaseUrl: string }) => ({ TIDEMARK_DATABASE_URL: databaseUrl });
  return {
    source,
    target,
    file: `${await temporaryFolder(t)}/stores.ndjson`,
    onSource: (...args: string[]) => runTidemark(args, at(source)),
    onTarget: (...args: string[]) => runTidemark(args, at(target)),
    /** Starts the program with pipes. */
    spawnOn: (database: { databaseUrl: string }, ...args: string[]) => {
      const child = spawn(process.execPath, [TIDEMARK, ...args], { env: cleanEnvironment(at(database)) });
      whenDone(t, () => child.kill("SIGKILL"));
      return { child, exited: once(child, "exit") };
    },
  };
}

for (const engine of engines) {
  describe(`${engine.name}: tidemark export and import`, () => {
    test("move every store through a file", async (t) => {
      const { source, target, file, onSource, onTarget } = await openPrograms(t, engine);
      const exported = await onSource("export", file);
      assert.deepEqual([exported.code, exported.stderr], [0, ""]);
      assert.match(exported.stdout, /^Exported 2 vector stores, \d+ rows to .*\n$/);
      assert.equal(statSync(file).mode & 0o077, 0, "only its owner may read it");
      assert.ok(!existsSync(`${file}.partial`));
      const repeated = await onSource("export", file);
      assert.deepEqual([repeated.code, repeated.stderr], [1, `tidemark: ${file} already exists.\n`]);

      const imported = await onTarget("import", file);
      assert.deepEqual([imported.code, imported.stderr], [0, ""]);
      assert.match(
        imported.stdout,
        /^Imported 2 vector stores, \d+ rows\. Check them with tidemark verify\.\n$/,
      );
      for (const store of [source.one, source.two]) {
        assert.deepEqual(await readStoreRows(target, store), await readStoreRows(source, store));
      }
      const twice = await onTarget("import", file);
      assert.equal(twice.code, 1);
      assert.match(
        twice.stderr,
        /^tidemark: The vector store vs_\w+ already exists\. Nothing was imported\.\n$/,
      );
    });

    test("move one store through a pipe", async (t) => {
      const { source, target, spawnOn } = await openPrograms(t, engine);
      const { two } = source;
      const from = spawnOn(source, "export", "-", "--store", two.storeId);
      const to = spawnOn(target, "import", "-");
      from.child.stdout.pipe(to.child.stdin);
      const output = Promise.all([text(from.child.stderr), text(to.child.stdout), text(to.child.stderr)]);
      assert.deepEqual([(await from.exited)[0], (await to.exited)[0]], [0, 0]);
      const [exported, imported, errors] = await output;
      assert.match(exported, /^Exported 1 vector stores, \d+ rows\.\n$/);
      assert.match(imported, /^Imported 1 vector stores/);
      assert.equal(errors, "");
      assert.deepEqual(await readStoreRows(target, two), await readStoreRows(source, two));
    });
  });
}

test("tidemark export continues the file of an interrupted export", async (t) => {
  const { source, target, file, onSource, onTarget } = await openPrograms(t, engines[0]!);
  await onSource("export", file);
  const whole = readFileSync(file);
  const partial = `${file}2.partial`;
  writeFileSync(partial, whole.subarray(0, whole.lastIndexOf('{"section":"access"}') + 5));
  const { code, stderr, stdout } = await onSource("export", `${file}2`);
  assert.equal(code, 0);
  assert.match(stderr, /^Resuming .*\.partial of \S+, which has 2 stores\.\n$/);
  assert.match(stdout, /^Exported 2 vector stores/);
  assert.deepEqual(readFileSync(`${file}2`), whole);
  assert.ok(!existsSync(partial));
  assert.equal((await onTarget("import", `${file}2`)).code, 0);
  assert.deepEqual(await readStoreRows(target, source.one), await readStoreRows(source, source.one));
});

test("tidemark import describes a damaged file in one line, and continues with the intact file", async (t) => {
  const { file, onSource, onTarget } = await openPrograms(t, engines[0]!);
  await onSource("export", file);
  const bytes = readFileSync(file);
  writeFileSync(`${file}.cut`, bytes.subarray(0, bytes.length - 20));
  const cut = await onTarget("import", `${file}.cut`);
  assert.equal(cut.code, 1);
  assert.match(
    cut.stderr,
    /^tidemark: Line \d+ of the export is missing or incomplete: the file is cut off\.\n$/,
  );
  const missing = await onTarget("import", `${file}.none`);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /^tidemark: .*\.none.*\n$/);
  const intact = await onTarget("import", file);
  assert.match(intact.stdout, /^Imported 2 vector stores, \d+ rows; \d+ were already imported\./);
});

test("tidemark import --discard removes what an unfinished import wrote", async (t) => {
  const { file, onSource, onTarget, target, source } = await openPrograms(t, engines[0]!);
  await onSource("export", file);
  const bytes = readFileSync(file);
  writeFileSync(`${file}.cut`, bytes.subarray(0, bytes.length - 20));
  await onTarget("import", `${file}.cut`);
  const { export_id } = JSON.parse(bytes.toString().split("\n")[0]!);
  const discarded = await onTarget("import", "--discard", export_id);
  assert.equal(discarded.code, 0);
  assert.match(discarded.stdout, new RegExp(`^Discarded the import of .*${source.one.storeId}`));
  assert.equal((await readStoreRows(target, source.one)).records!.length, 0);
  for (const args of [[], [file, "--discard", export_id]]) {
    const { code, stderr } = await onTarget("import", ...args);
    assert.equal(code, 1);
    assert.match(stderr, /give either a file or --discard/);
  }
});

test("tidemark export ends with one line when the reader of its output goes away", async (t) => {
  const { source, spawnOn } = await openPrograms(t, engines[0]!);
  const { child, exited } = spawnOn(source, "export", "-");
  child.stdout.destroy();
  const stderr = text(child.stderr);
  assert.deepEqual(await exited, [1, null]);
  assert.match(await stderr, /^tidemark: .*EPIPE.*\n$/);
});
