import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { codeBlocks } from "../../packages/server/test/docs/markdown.ts";
import { startServerProcess } from "../../packages/server/test/server-process.ts";
import { temporaryFolder } from "../../packages/server/test/test-server.ts";
import { runShell, runShown, startExampleStore } from "./example-store.ts";
import { startImpatientProxy } from "./impatient-proxy.ts";

const SCRIPT = "curl/sync-and-search.sh";
const COMMAND = "examples/curl/sync-and-search.sh";
const skip =
  spawnSync("curl", ["--fail-with-body", "--version"]).status === 0
    ? false
    : "curl 7.76 or newer is missing here";

/** The answers that the script prints, by heading. */
function readAnswers(stdout: string) {
  const parts = stdout.split(/^== (.*)\n/m).slice(1);
  const pairs = parts.flatMap((part, index) =>
    index % 2 === 0 ? [[part, JSON.parse(parts[index + 1]!)]] : [],
  );
  return Object.fromEntries(pairs);
}

/** Checks the output of the whole script. */
function assertOutput(stdout: string) {
  const answers = readAnswers(stdout);
  const ids = (heading: string) => answers[heading].data.map(({ id }: { id: string }) => id).sort();
  assert.equal(answers["Sync three records"].changes.created, 3);
  assert.deepEqual(answers["Which of these exist?"].existing_ids, ["task_1", "task_2", "task_3"]);
  assert.deepEqual(ids("Search"), ["task_1", "task_2"]);
  assert.equal(answers["Delete one"].changes.removed, 1);
  assert.deepEqual(ids("Search again"), ["task_1"]);
}

test("the set-up of the examples creates what the curl example needs", { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const settings = { TIDEMARK_DATABASE_URL: `file:${folder}/tidemark.db` };
  const { url } = await startServerProcess(t, settings);
  const script = codeBlocks("examples/README.md", "bash").join("\n");
  assert.ok(script.includes(COMMAND));
  const { code, stdout, stderr } = await runShell(script.replace("http://127.0.0.1:8787", url), {
    ...settings,
    npm_config_cache: `${folder}/npm`,
    npm_config_update_notifier: "false",
    npm_config_offline: "true",
  });
  assert.equal(code, 0, stderr);
  assertOutput(stdout.slice(stdout.indexOf("== ")));
});

test("the curl example", { skip }, async (t) => {
  const { url, environment, contents } = await startExampleStore(t);

  await t.test(
    "retries after Retry-After, and applies a sync once",
    {
      skip,
    },
    async (t) => {
      const proxy = await startImpatientProxy(t, url, { "/v1/pipeline/sync": [503] });
      const { code, stdout, stderr } = await runShown(SCRIPT, COMMAND, {
        ...environment,
        TIDEMARK_URL: proxy.url,
      });
      assert.equal(code, 0, stderr);
      assertOutput(stdout);
      assert.deepEqual(Object.keys(await contents("clickup_tasks")), ["task_1", "task_3"]);
      const syncs = proxy.requests.filter(({ path }) => path === "/v1/pipeline/sync");
      assert.deepEqual(
        syncs.map(({ status, replayed }) => [status, replayed]),
        [
          [503, false],
          [200, true],
          [200, false],
        ],
      );
      assert.equal(syncs[0]!.idempotencyKey, syncs[1]!.idempotencyKey);
      assert.notEqual(syncs[1]!.idempotencyKey, syncs[2]!.idempotencyKey);
    },
  );

  await t.test("ends with the server's error", async () => {
    const wrong = { ...environment, TIDEMARK_API_KEY: environment.TIDEMARK_READER_KEY! };
    const { code, stdout, stderr } = await runShown(SCRIPT, COMMAND, wrong);
    assert.deepEqual([code, stdout], [1, "== Sync three records\n"]);
    assert.match(stderr, /"code":"INSUFFICIENT_PERMISSIONS"/);
  });
});
