import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { readConfig, SETTINGS } from "../../src/config.ts";
import { engines } from "../engines.ts";
import { runForObject, runTidemark, startServerProcess, TIDEMARK } from "../server-process.ts";
import { temporaryFolder } from "../test-server.ts";
import { whenDone } from "../when-done.ts";

const ONE_LINE = /^tidemark: [^\n]+\n$/;

/** Values that a setting rejects, by its kind. */
function wrongValues(setting: (typeof SETTINGS)[keyof typeof SETTINGS]): string[] {
  if (setting.expects.startsWith("a whole number"))
    return ["abc", "-1", "1.5", "1e3", " 1", "99999999999999"];
  if (setting.expects.startsWith("one of")) return ["loud", "INFO"];
  return [];
}

describe("tidemark serve", () => {
  test("rejects a wrong setting with one line that names it", async (t) => {
    for (const setting of Object.values(SETTINGS)) {
      for (const value of wrongValues(setting)) {
        assert.throws(
          () => readConfig({ [setting.variable]: value }),
          ({ message }: Error) => message.includes(setting.variable) && !message.includes("\n"),
          `${setting.variable}=${value}`,
        );
      }
    }
    const folder = await temporaryFolder(t);
    const attempts: [args: string[], variable: string, value: string][] = [
      [["serve"], "TIDEMARK_PORT", "http"],
      [["serve"], "TIDEMARK_DATABASE_URL", "mysql://localhost/tidemark"],
      [["serve", "--port", "65536"], "TIDEMARK_PORT", "0"],
      [["org", "list"], "TIDEMARK_TOMBSTONE_DAYS", "0"],
    ];
    for (const [args, variable, value] of attempts) {
      const settings = { TIDEMARK_DATABASE_URL: `file:${folder}/tidemark.db`, [variable]: value };
      const { code, stdout, stderr } = await runTidemark(args, settings);
      assert.equal(code, 1, variable);
      assert.match(stderr, ONE_LINE);
      assert.ok(stderr.includes(variable), stderr);
      assert.equal(stdout.includes('"msg":"ready"'), false);
    }
  });

  test("reports in one line why it cannot start", async (t) => {
    const folder = await temporaryFolder(t);
    await writeFile(`${folder}/file`, "not a folder");
    await writeFile(`${folder}/garbage.db`, "this is not a database ".repeat(100));
    const newer = `file:${folder}/newer.db`;
    await runForObject(["org", "list"], { TIDEMARK_DATABASE_URL: newer });
    await engines.find(({ name }) => name === "SQLite")!.pretendNewerSchema(newer);
    const busy = createServer().listen(0, "127.0.0.1");
    whenDone(t, () => busy.close());
    await once(busy, "listening");
    const { port } = busy.address() as { port: number };
    const attempts: [settings: Record<string, string>, message: RegExp][] = [
      [{ TIDEMARK_DATABASE_URL: `file:${folder}/file/tidemark.db` }, /\/file/],
      [{ TIDEMARK_DATABASE_URL: `file:${folder}/garbage.db` }, /not a database/],
      [{ TIDEMARK_DATABASE_URL: newer }, /schema 999999/],
      [{ TIDEMARK_DATABASE_URL: `file:${folder}/a.db`, TIDEMARK_PORT: String(port) }, /EADDRINUSE|in use/],
    ];
    for (const [settings, message] of attempts) {
      const { code, stderr } = await runTidemark(["serve"], settings);
      assert.equal(code, 1, stderr);
      assert.match(stderr, ONE_LINE);
      assert.match(stderr, message);
    }
  });

  test("with --bootstrap prints two curl commands that work, only if the database is empty", async (t) => {
    const settings = {
      TIDEMARK_DATABASE_URL: `file:${await temporaryFolder(t)}/tidemark.db`,
      TIDEMARK_LOG_LEVEL: "info",
    };
    const bootstrap: [string, ...string[]] = [process.execPath, TIDEMARK, "serve", "--bootstrap"];
    const first = await startServerProcess(t, settings, bootstrap);
    const ends = () => first.log.flatMap((line, index) => (line.startsWith("  -d ") ? [index + 1] : []));
    while (ends().length < 2) await once(first.process.stdout, "data");
    const [sync, search] = ends().map((end) => {
      const start = first.log.findLastIndex((line, index) => index < end && line.startsWith("curl "));
      return first.log.slice(start, end).join("\n");
    });
    const paste = async (curl: string) =>
      JSON.parse((await promisify(execFile)("bash", ["-c", curl])).stdout);
    const answer = await paste(sync!);
    assert.equal(answer.status, "success");
    assert.equal(answer.changes.created, 1);
    // A person pastes the command later than the indexer needs.
    const afterSync = search!.replace(/"}'$/, `","after_sync":"${answer.sync_id}"}'`);
    assert.notEqual(afterSync, search);
    assert.equal((await paste(afterSync)).data.length, 1);
    const { data: found } = await paste(search!);
    assert.deepEqual(
      found.map(({ id, text }: { id: string; text: string }) => [id, text.split("\n")[0]]),
      [["task_1", "Write the release notes"]],
    );

    const { data } = await runForObject(["org", "list"], settings);
    assert.equal(data.length, 1);
    assert.ok(first.log.some((line) => line.includes(data[0].id)));
    await first.end("SIGTERM");

    const again = await startServerProcess(t, settings, bootstrap);
    while (!again.log.some((line) => line.includes("already has an organization"))) {
      await once(again.process.stdout, "data");
    }
    assert.equal(
      again.log.some((line) => line.includes("tdm_")),
      false,
    );
    assert.deepEqual((await runForObject(["org", "list"], settings)).data, data);
  });

  test("without --bootstrap creates nothing", async (t) => {
    const settings = { TIDEMARK_DATABASE_URL: `file:${await temporaryFolder(t)}/tidemark.db` };
    const server = await startServerProcess(t, settings);
    assert.deepEqual((await runForObject(["org", "list"], settings)).data, []);
    for (const line of server.log) assert.ok(JSON.parse(line).level, "a log of JSON lines");
  });
});
