import assert from "node:assert/strict";
import { chmod, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { temporaryFolder } from "../../packages/server/test/test-server.ts";
import {
  copyExample,
  type ExampleStore,
  ROOT,
  runShell,
  runShown,
  startExampleStore,
} from "./example-store.ts";

const README = "markdown-folder/README.md";
const SCRIPT = join(ROOT, "examples", "markdown-folder", "sync-folder.ts");

const NOTES = {
  "printer.md":
    "---\ntags: [printer, floor-2]\npriority: 2\nsince: 2025-11-11\n---\n\n# Printer on fire\n\nCall Ada.\n",
  "ideas/walrus.md": "# A walrus in the server room\n\nIt likes the cold.\n",
  "ideas/plain.md": "No heading at all.\n",
  "ideas/ruled.md": "---\nbetween two rules\n---\n\nText.\n",
};

/** Creates a folder with notes, and a namespace for it. */
async function makeNotes(t: TestContext, store: ExampleStore) {
  const namespace = basename(await temporaryFolder(t));
  const folder = join(await temporaryFolder(t), "notes");
  const write = async (notes: Record<string, string | Uint8Array>) => {
    for (const [path, text] of Object.entries(notes)) {
      await mkdir(join(folder, dirname(path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
  };
  const remove = (path: string) => rm(join(folder, path), { recursive: true });
  await write(NOTES);
  const sync = (options = "") =>
    runShell(`node ${SCRIPT} ${folder} --namespace ${namespace} ${options}`, store.environment);
  const contents = () => store.contents(namespace);
  return { namespace, folder, write, remove, sync, contents };
}

test("the README's first run makes documents searchable, and shows the first twenty", async (t) => {
  const { environment, contents, reader, pipeline } = await startExampleStore(t);
  const command = "node examples/markdown-folder/sync-folder.ts docs";
  const { code, stdout, stderr } = await runShown(README, command, environment);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^created {2}decisions\//);
  const notes = await contents("notes");
  assert.ok("guides/connect-a-pipeline.md" in notes);
  const created = Object.keys(notes).length;
  assert.ok(stdout.endsWith(`created  ${created - 20} more\n`), stdout);

  const { data: syncs } = await pipeline.listSyncs({ limit: 1 });
  const query = "back up a SQLite database";
  const { data } = await reader.search({ query, after_sync: syncs[0]!.id, timeout_ms: 30_000 });
  assert.ok(data.some(({ id }) => id === "guides/backup.md"));
});

test("a folder of Markdown files", async (t) => {
  const store = await startExampleStore(t);

  await t.test("a note is its front matter, title and text", async (t) => {
    const { sync, contents } = await makeNotes(t, store);
    assert.deepEqual(await sync(), {
      code: 0,
      stdout:
        "created  ideas/plain.md\ncreated  ideas/ruled.md\ncreated  ideas/walrus.md\ncreated  printer.md\n",
      stderr: "",
    });
    assert.deepEqual(await contents(), {
      "printer.md": {
        title: "Printer on fire",
        tags: ["printer", "floor-2"],
        priority: 2,
        since: "2025-11-11",
        text: "\n# Printer on fire\n\nCall Ada.\n",
      },
      "ideas/walrus.md": { title: "A walrus in the server room", text: NOTES["ideas/walrus.md"] },
      "ideas/plain.md": { title: "plain", text: NOTES["ideas/plain.md"] },
      "ideas/ruled.md": { title: "ruled", text: NOTES["ideas/ruled.md"] },
    });
  });

  await t.test(
    "the next run prints what changed, and a run without changes prints and changes nothing",
    async (t) => {
      const { sync, write, remove, contents, namespace } = await makeNotes(t, store);
      await sync();
      // The state of indexing changes meanwhile.
      const read = async () =>
        (await store.pipeline.listRecords({ namespace })).data.map(({ indexing, ...record }) => record);
      const before = await read();
      assert.deepEqual(await sync(), { code: 0, stdout: "", stderr: "" });
      assert.deepEqual(await read(), before);
      const { data: syncs } = await store.pipeline.listSyncs({ limit: 1 });
      assert.equal(syncs[0]!.changes.unchanged, 4);

      await write({ "new.md": "# New\n", "printer.md": "# Printer put out\n" });
      await remove("ideas/walrus.md");
      assert.deepEqual(await sync(), {
        code: 0,
        stdout: "created  new.md\nupdated  printer.md\nremoved  ideas/walrus.md\n",
        stderr: "",
      });
      const ids = ["ideas/plain.md", "ideas/ruled.md", "new.md", "printer.md"];
      assert.deepEqual(Object.keys(await contents()), ids);
    },
  );

  await t.test("hidden files, other files and symbolic links are not notes", async (t) => {
    const { sync, write, folder, contents } = await makeNotes(t, store);
    await write({
      ".trash/old.md": "# Old",
      ".draft.md": "# Draft",
      "picture.png": "",
      "folder.md/inside.md": "# In",
    });
    await symlink(join(folder, "printer.md"), join(folder, "link.md"));
    assert.equal((await sync()).code, 0);
    assert.deepEqual(
      Object.keys(await contents()).sort(),
      [...Object.keys(NOTES), "folder.md/inside.md"].sort(),
    );
  });

  await t.test(
    "a run on a folder that is suddenly empty is rejected unless the limit is lifted",
    async (t) => {
      const { sync, remove, contents } = await makeNotes(t, store);
      await sync();
      for (const path of Object.keys(NOTES)) await remove(path);
      const rejected = await sync();
      assert.deepEqual([rejected.code, rejected.stdout], [2, ""]);
      assert.match(rejected.stderr, /\n4 of 4 notes would be removed\. Nothing was changed\.\n$/);
      assert.equal(Object.keys(await contents()).length, 4);

      const lifted = await sync("--removal-limit none");
      const removed = ["ideas/plain.md", "ideas/ruled.md", "ideas/walrus.md", "printer.md"];
      const lines = removed.map((id) => `removed  ${id}\n`).join("");
      assert.deepEqual(lifted, { code: 0, stdout: lines, stderr: "" });
      assert.deepEqual(await contents(), {});
    },
  );

  await t.test("a missing folder is an error and removes nothing", async (t) => {
    const { sync, remove, contents } = await makeNotes(t, store);
    await sync();
    await remove(".");
    const { code, stdout, stderr } = await sync("--removal-limit none");
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^sync-folder: ENOENT: [^\n]+\n$/);
    assert.equal(Object.keys(await contents()).length, 4);
  });

  await t.test("a file that cannot be read ends the run before anything changes", async (t) => {
    const { sync, write, remove, contents } = await makeNotes(t, store);
    await sync();
    await remove("printer.md");
    for (const text of ["---\ntags: [printer\n---\n", new Uint8Array([0xff, 0x0a])]) {
      await write({ "broken.md": text });
      const { code, stdout, stderr } = await sync();
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^sync-folder: broken\.md: /);
    }
    assert.equal(Object.keys(await contents()).length, 4);
  });

  await t.test("a note that the server rejects stays unchanged, and the others are synced", async (t) => {
    const { sync, write, contents } = await makeNotes(t, store);
    await sync();
    await write({ "printer.md": "# Printer \0 on fire\n", "new.md": "# New\n" });
    const { code, stdout, stderr } = await sync();
    assert.deepEqual([code, stdout], [1, "created  new.md\n"]);
    assert.match(stderr, /^sync-folder: printer\.md: [^\n]+\n$/);
    const notes = (await contents()) as Record<string, { title: string }>;
    assert.deepEqual([notes["printer.md"]!.title, notes["new.md"]!.title], ["Printer on fire", "New"]);
  });
});

test("the crontab line runs in a copy of the folder, with its .env", async (t) => {
  const store = await startExampleStore(t);
  const { folder } = await makeNotes(t, store);
  const copy = await copyExample(t, "markdown-folder");
  const { TIDEMARK_READER_KEY: _, ...variables } = store.environment;
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(join(copy, ".env"), lines.join(""));
  await chmod(join(copy, ".env"), 0o600);
  const command = "cd /opt/markdown-folder && node --env-file=.env sync-folder.ts /srv/notes";
  const { code, stdout, stderr } = await runShown(README, command, {}, copy, (line) =>
    line.replace("/opt/markdown-folder", copy).replace("/srv/notes", folder),
  );
  assert.deepEqual([code, stderr], [0, ""]);
  assert.equal(stdout.split("\n").length, 5);
  assert.equal(Object.keys(await store.contents("notes")).length, 4);
});
