import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { rows, startFileStore } from "./files.ts";

const NAMESPACE = ["--namespace", "tasks"];

describe("tidemark sync", () => {
  test("sends NDJSON, a JSON array and CSV, and prints the changes", async (t) => {
    const { tidemark, write, contents } = await startFileStore(t);
    const files = [
      await write("a.ndjson", '{"id": "a", "n": 1}\n\n{"id": "b", "text": "line\\nbreak"}'),
      await write("b.json", '\ufeff[ {"id": "c", "list": ["[", "]", "\\"}"]},\n{"id": "d"} ]\n'),
      await write("c.csv", 'id,text\r\ne,"a, ""b""\nc"\r\nf,\r\n'),
    ];
    for (const file of files) {
      const { code, stdout, stderr } = await tidemark(["sync", file, ...NAMESPACE]);
      assert.deepEqual([code, stderr], [0, ""], "nothing but the result in a pipe");
      assert.match(stdout, /^sent 2 records: 2 created\b.*\n$/);
    }
    assert.deepEqual(await contents(), {
      a: { id: "a", n: 1 },
      b: { id: "b", text: "line\nbreak" },
      c: { id: "c", list: ["[", "]", '"}'] },
      d: { id: "d" },
      e: { id: "e", text: 'a, "b"\nc' },
      f: { id: "f", text: "" },
    });
    assert.match((await tidemark(["sync", files[0]!, ...NAMESPACE])).stdout, /2 unchanged/);
  });

  test("reads standard input, and ids from another member, even if they are numbers", async (t) => {
    const { tidemark, contents } = await startFileStore(t);
    const id = ["--id-field", "key"];
    await tidemark(["sync", "-", ...NAMESPACE, ...id], { input: '{"key": 7}\n{"key": "x"}\n' });
    const csv = ["--format", "csv", "--json"];
    const { stdout } = await tidemark(["sync", "-", ...NAMESPACE, ...id, ...csv], { input: "key\n8\n" });
    const { sync_id, operations, changes, in_sync } = JSON.parse(stdout);
    assert.match(sync_id, /^sync_/);
    assert.deepEqual([operations, changes.created, in_sync], [1, 1, null]);
    assert.deepEqual(await contents(), { "7": { key: 7 }, "8": { key: "8" }, x: { key: "x" } });
  });

  test("removes records only with --full-refresh or --delete-missing", async (t) => {
    const { tidemark, write, contents } = await startFileStore(t);
    const six = await write("six.ndjson", rows(0, 6));
    const [some, fewer] = [await write("some.ndjson", rows(2, 5)), await write("fewer.ndjson", rows(3, 4))];
    assert.match((await tidemark(["sync", six, ...NAMESPACE])).stdout, /6 created; in sync/);
    assert.match((await tidemark(["sync", some, ...NAMESPACE])).stdout, /3 unchanged\n/);
    assert.match(
      (await tidemark(["sync", some, ...NAMESPACE, "--full-refresh"])).stdout,
      /3 cleared; in sync/,
    );
    assert.match(
      (await tidemark(["sync", fewer, ...NAMESPACE, "--delete-missing"])).stdout,
      /2 removed; in sync/,
    );
    assert.deepEqual(Object.keys(await contents()), ["r3"]);
    const both = await tidemark(["sync", six, ...NAMESPACE, "--delete-missing", "--full-refresh"]);
    assert.equal(both.code, 1);
  });

  test("exits with 2 and prints the counts if the removal limit rejects the sync", async (t) => {
    const { tidemark, write, contents } = await startFileStore(t);
    const many = await write("many.ndjson", rows(0, 120));
    const few = await write("few.ndjson", rows(0, 9));
    await tidemark(["sync", many, ...NAMESPACE]);
    for (const mode of ["--full-refresh", "--delete-missing"]) {
      for (const dry of [[], ["--dry-run"]]) {
        const { code, stderr } = await tidemark(["sync", few, ...NAMESPACE, mode, ...dry]);
        assert.equal(code, 2);
        assert.match(stderr, /tasks would lose 111 of 120 records \(limit 50%\)/);
      }
    }
    assert.equal(Object.keys(await contents()).length, 100, "a page of them");
    const limit = ["--full-refresh", "--removal-limit"];
    assert.equal((await tidemark(["sync", few, ...NAMESPACE, ...limit, "110"])).code, 2);
    assert.equal((await tidemark(["sync", few, ...NAMESPACE, ...limit, "150%"])).code, 1);
    assert.equal((await tidemark(["sync", few, ...NAMESPACE, ...limit, "none"])).code, 0);
    assert.equal(Object.keys(await contents()).length, 9);
  });

  test("with --dry-run prints what would change, and changes nothing", async (t) => {
    const { tidemark, write, contents } = await startFileStore(t);
    await tidemark(["sync", await write("old.ndjson", rows(0, 4)), ...NAMESPACE]);
    const next = await write("new.ndjson", rows(2, 9));
    const dry = await tidemark(["sync", next, ...NAMESPACE, "--full-refresh", "--dry-run"]);
    assert.deepEqual(
      [dry.code, dry.stdout],
      [0, "would send 7 records: 5 created, 2 unchanged, 2 cleared\n"],
    );
    assert.deepEqual(Object.keys(await contents()), ["r0", "r1", "r2", "r3"]);
    const { stdout } = await tidemark(["sync", next, ...NAMESPACE, "--full-refresh", "--dry-run", "--json"]);
    assert.deepEqual(JSON.parse(stdout).samples.cleared, ["r0", "r1"]);
  });

  test("exits with 1 and prints one line if it cannot read a row, and sends nothing of the row's batch", async (t) => {
    const { tidemark, write, contents } = await startFileStore(t);
    const file = await write("no-id.ndjson", '{"id": "a"}\n{"name": "b"}\n');
    assert.deepEqual(await tidemark(["sync", file, ...NAMESPACE]), {
      code: 1,
      stdout: "",
      stderr: 'tidemark: line 2: "id" has no text or number; name the id with --id-field.\n',
    });
    assert.match((await tidemark(["sync", "missing.csv", ...NAMESPACE])).stderr, /^tidemark: ENOENT/);
    assert.deepEqual(await contents(), {});
  });

  test("reports in one line that the server rejects the key", async (t) => {
    const { tidemark, settings } = await startFileStore(t);
    const wrong = { ...settings, TIDEMARK_API_KEY: "tdm_c_wrong" };
    const { code, stderr } = await tidemark(["sync", "-", ...NAMESPACE], {
      input: rows(0, 1),
      settings: wrong,
    });
    assert.deepEqual(
      [code, stderr],
      [1, "tidemark: Authentication required. Please provide a valid API key.\n"],
    );
  });
});

describe("the server's address and key", () => {
  test("come from options, then from the environment, then from a profile", async (t) => {
    const { tidemark, write, settings, contents } = await startFileStore(t);
    const { TIDEMARK_URL, TIDEMARK_API_KEY, TIDEMARK_ORGANIZATION, TIDEMARK_STORE } = settings;
    const here = { url: TIDEMARK_URL, api_key: TIDEMARK_API_KEY, organization: TIDEMARK_ORGANIZATION };
    const profiles = { default: { ...here, store: "vs_other" }, right: { ...here, store: TIDEMARK_STORE } };
    const config = { TIDEMARK_CONFIG: await write("config.json", JSON.stringify(profiles)) };
    const sync = async (id: string, args: string[] = [], more = {}) =>
      (
        await tidemark(["sync", "-", ...NAMESPACE, ...args], {
          input: rows(0, 1, { id }),
          settings: { ...config, ...more },
        })
      ).code;
    assert.equal(await sync("default"), 1);
    assert.equal(await sync("option", ["--store", TIDEMARK_STORE!]), 0);
    assert.equal(await sync("environment", [], { TIDEMARK_STORE }), 0);
    assert.equal(await sync("profile", ["--profile", "right"]), 0);
    assert.equal(await sync("profile of the environment", [], { TIDEMARK_PROFILE: "right" }), 0);
    assert.equal(await sync("unknown", ["--profile", "unknown"]), 1);
    assert.deepEqual(Object.keys(await contents()), [
      "environment",
      "option",
      "profile",
      "profile of the environment",
    ]);
  });

  test("are reported if they are missing", async (t) => {
    const { tidemark, write, settings } = await startFileStore(t);
    const { TIDEMARK_CONFIG } = settings as { TIDEMARK_CONFIG: string };
    const empty = await tidemark(["sync", "-", ...NAMESPACE], { settings: { TIDEMARK_CONFIG } });
    assert.match(empty.stderr, /^tidemark: No api_key is set: set TIDEMARK_API_KEY/);
    const broken = { TIDEMARK_CONFIG: await write("broken.json", "{") };
    const { code, stderr } = await tidemark(["sync", "-", ...NAMESPACE], { settings: broken });
    assert.equal(code, 1);
    assert.match(stderr, /^tidemark: Cannot read the profiles in .*broken\.json: /);
  });
});
