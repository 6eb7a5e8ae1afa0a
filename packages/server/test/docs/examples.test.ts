import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { pino } from "pino";
import { readConfig } from "../../src/config.ts";
import { startService } from "../../src/service.ts";
import { temporaryFolder } from "../test-server.ts";
import { whenDone } from "../when-done.ts";
import { codeBlocks, ROOT } from "./markdown.ts";

/** Documents whose examples call a server, and the two texts in them that a reader replaces. */
const DOCUMENTS = ["docs/guides/getting-started.md", "docs/guides/connect-a-pipeline.md"];
const HOST = "http://127.0.0.1:8787";
const KEY = "YOUR_API_KEY";

const run = promisify(execFile);
// The examples call this machine only, so they must ignore any proxy.
const env = { ...process.env, NO_PROXY: "127.0.0.1", no_proxy: "127.0.0.1" };

/** A real server on a database in a folder, and its log. */
async function startServer(t: TestContext, folder: string) {
  const answers: { method: string; route: string; status: number }[] = [];
  const write = (line: string) => {
    const { msg, method, route, status } = JSON.parse(line);
    if (msg === "request") answers.push({ method, route, status });
  };
  const log = pino({}, { write });
  const databaseUrl = `file:${folder}/tidemark.db`;
  const service = await startService(readConfig({}, { port: 0, databaseUrl }), log);
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= service.stop();
    return stopped;
  };
  whenDone(t, stop);
  return { ...service, answers, stop };
}

/** The endpoints that the examples of every language call. */
const CALLED = [
  "POST /v1/pipeline/check-exists",
  "POST /v1/pipeline/health/validate",
  "POST /v1/pipeline/sync",
];

/**
 * Runs every example of a language, in order, as written except for host and key.
 * @param called the endpoints in addition to {@link CALLED}
 */
async function runExamples(
  t: TestContext,
  language: string,
  [command, ...args]: string[],
  file: string,
  called: string[] = [],
) {
  const folder = await temporaryFolder(t);
  const { url, commands, answers, stop } = await startServer(t, folder);
  const organizationId = "org_acme";
  const storeId = "vs_support";
  await commands.createOrganization({ name: "Acme", id: organizationId }, Date.now());
  await commands.createVectorStore(organizationId, { name: "Support", id: storeId }, Date.now());
  const connector = { name: "ClickUp", storeId };
  const { api_key } = await commands.createConnector(organizationId, connector, Date.now());

  for (const path of DOCUMENTS) {
    const blocks = codeBlocks(path, language).filter((code) => code.includes(KEY));
    assert.ok(blocks.length > 0, `${path} has examples in ${language}`);
    for (const code of blocks) {
      assert.ok(code.includes(HOST), `${path} names the host that is replaced`);
      await writeFile(join(folder, file), code.replaceAll(HOST, url).replaceAll(KEY, api_key));
      await run(command!, [...args, file], { cwd: folder, env, timeout: 60_000 });
    }
  }

  // Each language leaves one task from the first page and two tickets from the second.
  assert.equal(await commands.countRecords(), 3);
  await stop();
  assert.deepEqual(
    answers.filter(({ status }) => status !== 200),
    [],
  );
  const answered = new Set(answers.map(({ method, route }) => `${method} ${route}`));
  assert.deepEqual([...answered].sort(), [...called, ...CALLED]);
}

/** Why a test cannot run here, or false. */
function missing(command: string, ...args: string[]): string | false {
  return spawnSync(command, args, { env }).status === 0
    ? false
    : `${command} ${args.join(" ")} does not run here`;
}

test("the curl examples run as written", { skip: missing("curl", "--version") }, (t) =>
  runExamples(t, "bash", ["bash", "--norc", "-euo", "pipefail"], "example.sh", [
    "GET /v1/organizations/:organization_id/vector-stores/:vector_store_id/namespaces",
  ]),
);

test("the Python examples run as written", { skip: missing("python3", "-c", "import requests") }, (t) =>
  runExamples(t, "python", ["python3"], "example.py"),
);

test("the JavaScript examples run as written", (t) =>
  runExamples(t, "javascript", [process.execPath], "example.mjs"));

test("the search examples run as written, in order", { skip: missing("curl", "--version") }, async (t) => {
  const folder = await temporaryFolder(t);
  const { url, commands, answers, stop } = await startServer(t, folder);
  const now = Date.now();
  const organizationId = "org_acme";
  await commands.createOrganization({ name: "Acme", id: organizationId }, now);
  const store = { name: "Support", id: "vs_support" };
  await commands.createVectorStore(organizationId, store, now);
  const connector = { name: "ClickUp", storeId: store.id };
  const { api_key } = await commands.createConnector(organizationId, connector, now);
  const reader = await commands.createOwnerKey({ role: "reader", organizationId }, now);
  const admin = await commands.createOwnerKey({ role: "admin", organizationId }, now);

  const outputs: string[] = [];
  for (const path of ["docs/guides/getting-started.md", "docs/guides/search.md"]) {
    const blocks = codeBlocks(path, "bash").filter((code) => /YOUR_(READER|ADMIN)_KEY/.test(code));
    assert.ok(blocks.length > 0, path);
    for (const code of blocks) {
      assert.ok(code.includes(HOST), code);
      const script = code
        .replaceAll(HOST, url)
        .replaceAll(KEY, api_key)
        .replaceAll("YOUR_READER_KEY", reader.api_key)
        .replaceAll("YOUR_ADMIN_KEY", admin.api_key);
      await writeFile(join(folder, "example.sh"), script);
      const bash = ["--norc", "-euo", "pipefail", "example.sh"];
      outputs.push((await run("bash", bash, { cwd: folder, env, timeout: 60_000 })).stdout);
    }
  }
  await stop();
  assert.deepEqual(
    answers.filter(({ status }) => status !== 200),
    [],
  );
  const searched = outputs
    .map((text) => JSON.parse(text))
    .filter(({ object }) => object === "search_results");
  assert.deepEqual(
    searched.map(({ data }) => data.map(({ id }: { id: string }) => id)),
    [[], [], ["ticket_1"]],
    "the last one waits for what was synced before it",
  );
});

test("the set-up commands of getting started create a connector with a valid connection", async (t) => {
  const folder = await temporaryFolder(t);
  const commands = codeBlocks("docs/guides/getting-started.md", "bash").find((code) =>
    code.includes("tidemark org create"),
  );
  const { stdout } = await run("bash", ["--norc", "-euo", "pipefail", "-c", commands!], {
    cwd: fileURLToPath(ROOT),
    env: {
      ...env,
      TIDEMARK_DATABASE_URL: `file:${folder}/tidemark.db`,
      PATH: fileURLToPath(new URL("node_modules/.bin", ROOT)) + delimiter + process.env.PATH,
      npm_config_cache: join(folder, "npm"),
      npm_config_update_notifier: "false",
      npm_config_offline: "true",
    },
  });
  const key = /tdm_c_\w+/.exec(stdout)?.[0];
  assert.ok(key, stdout);
  const { url, stop } = await startServer(t, folder);
  const query = "organization_id=org_acme&vector_store_id=vs_support";
  const response = await fetch(`${url}/v1/pipeline/health/validate?${query}`, {
    headers: { "x-api-key": key },
  });
  const { checks } = (await response.json()) as { checks: { vector_store_record: object } };
  await stop();
  assert.equal(response.status, 200);
  assert.deepEqual(checks.vector_store_record, {
    valid: true,
    message: "The vector store exists.",
    vector_store_name: "Support",
  });
});
