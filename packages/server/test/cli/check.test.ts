import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { rows, startFileStore } from "./files.ts";

const NAMESPACE = ["--namespace", "tasks"];

describe("tidemark check", () => {
  test("exits with 0 if the namespace holds exactly the file's records, even none", async (t) => {
    const { tidemark, write } = await startFileStore(t);
    const file = await write("rows.ndjson", rows(0, 5));
    await tidemark(["sync", file, ...NAMESPACE]);
    assert.deepEqual(await tidemark(["check", file, ...NAMESPACE]), {
      code: 0,
      stdout: "tasks: in sync, 5 records\n",
      stderr: "",
    });
    const empty = await write("empty.ndjson", "");
    assert.equal((await tidemark(["check", empty, "--namespace", "never written"])).code, 0);
  });

  test("exits with 3 if it does not, prints the differences, and changes nothing", async (t) => {
    const { tidemark, write, contents } = await startFileStore(t);
    await tidemark(["sync", await write("rows.ndjson", rows(0, 5)), ...NAMESPACE]);
    const before = await contents();
    const other = await write("other.ndjson", rows(2, 4) + rows(4, 5, { edited: true }) + rows(7, 9));
    const { code, stdout } = await tidemark(["check", other, ...NAMESPACE]);
    assert.equal(code, 3);
    assert.equal(
      stdout,
      "tasks: NOT IN SYNC: 2 missing, 1 different, 2 extra\n  missing: r7, r8\n  different: r4\n",
    );
    const json = JSON.parse((await tidemark(["check", other, ...NAMESPACE, "--json"])).stdout);
    assert.deepEqual([json.in_sync, json.records, json.difference.extra], [false, 5, 2]);
    assert.notEqual(json.digests.source, json.digests.server);
    assert.deepEqual(await contents(), before);
  });

  test("rejects standard input, and reports the line of a file that it cannot read", async (t) => {
    const { tidemark, write } = await startFileStore(t);
    assert.match((await tidemark(["check", "-", ...NAMESPACE])).stderr, /standard input/);
    const broken = await tidemark(["check", await write("broken.ndjson", "{"), ...NAMESPACE]);
    assert.equal(broken.code, 1);
    assert.match(broken.stderr, /^tidemark: line 1: /);
  });
});
