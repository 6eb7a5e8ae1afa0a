import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { codeBlocks } from "../../packages/server/test/docs/markdown.ts";
import { runShown, startExampleStore } from "./example-store.ts";
import { startImpatientProxy } from "./impatient-proxy.ts";

const SCRIPT = "python-requests/sync_and_search.py";
const COMMAND = "python3 examples/python-requests/sync_and_search.py";
const skip =
  spawnSync("python3", ["-c", "import requests"]).status === 0
    ? false
    : "python3 cannot import requests here";

test("the Python example", { skip }, async (t) => {
  const { url, environment, contents, pipeline } = await startExampleStore(t);

  await t.test("retries after errors and ends in sync", async (t) => {
    const search = `/v1/organizations/${environment.TIDEMARK_ORGANIZATION}/vector-stores/${environment.TIDEMARK_STORE}/search`;
    const proxy = await startImpatientProxy(t, url, { "/v1/pipeline/sync": [503], [search]: [429] });
    const settings = { ...environment, TIDEMARK_URL: proxy.url, PYTHONDONTWRITEBYTECODE: "1" };
    const { code, stdout, stderr } = await runShown(SCRIPT, COMMAND, settings);
    assert.equal(code, 0, stderr);
    const { data } = await pipeline.listNamespaces();
    assert.equal(
      stdout,
      `synced: {'upserted': 3, 'deleted': 0, 'failed': 0}
existing: ['ticket_1', 'ticket_2']
search for a printer:
  ticket_1: Printer on fire
  ticket_2: Printer has no toner
deleted: 1
search for a printer:
  ticket_1: Printer on fire
refreshed: {'created': 1, 'unchanged': 1, 'cleared': 1}
search for a printer:
  ticket_1: Printer on fire
  ticket_4: Paper jam in the printer
in sync: ${data[0]!.digest}
`,
    );
    assert.deepEqual(Object.keys(await contents("zendesk_tickets")), ["ticket_1", "ticket_4"]);

    const syncs = proxy.requests.filter(({ path }) => path === "/v1/pipeline/sync");
    assert.deepEqual(
      syncs.slice(0, 2).map(({ status, replayed }) => [status, replayed]),
      [
        [503, false],
        [200, true],
      ],
    );
    const keys = syncs.map(({ idempotencyKey }) => idempotencyKey);
    assert.deepEqual([keys.length, new Set(keys).size, keys[0]], [6, 5, keys[1]]);
    assert.deepEqual(
      proxy.requests.filter(({ path }) => path === search).map(({ status }) => status),
      [429, 200, 200, 200],
    );
  });

  await t.test("ends with the server's error", async () => {
    const settings = { ...environment, TIDEMARK_API_KEY: "tdm_c_unknown", PYTHONDONTWRITEBYTECODE: "1" };
    const { code, stdout, stderr } = await runShown(SCRIPT, COMMAND, settings);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /\/v1\/pipeline\/sync answered 401: .*"AUTHENTICATION_REQUIRED"/);
  });
});

test("the Python example's digest is the code of the reference", () => {
  const code = readFileSync(
    new URL("../../examples/python-requests/namespace_digest.py", import.meta.url),
    "utf8",
  );
  const [reference] = codeBlocks("docs/reference/digests.md", "python");
  assert.equal(code.slice(code.indexOf("import")), reference);
});
