import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { codeBlocks, ROOT } from "../../server/test/docs/markdown.ts";
import { installPacked } from "../../server/test/packed-packages.ts";
import { temporaryFolder } from "../../server/test/test-server.ts";
import { startServer } from "./destination.ts";

const run = promisify(execFile);
const modules = fileURLToPath(new URL("node_modules/", ROOT));
const here = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");
const { newStore } = await startServer();

test("the packed package runs its README's first example as written", async (t) => {
  const folder = await temporaryFolder(t);
  const npm = {
    npm_config_cache: join(folder, "npm"),
    npm_config_update_notifier: "false",
    npm_config_offline: "true",
  };
  const env = { ...process.env, ...npm, PATH: join(modules, ".bin") + delimiter + process.env.PATH };

  const app = await installPacked(folder, ["protocol", "client", "airbyte-destination"], ["typebox"]);
  await writeFile(join(app, "package.json"), '{"private": true}');

  const { config, contents } = await newStore();
  const replaced: [string, unknown][] = [
    ["http://127.0.0.1:8787", config.url],
    ["YOUR_API_KEY", config.api_key],
    ["org_acme", config.organization_id],
    ["vs_support", config.vector_store_id],
  ];
  let example = codeBlocks("packages/airbyte-destination/README.md", "bash")[0]!;
  for (const [written, ours] of replaced) {
    assert.ok(example.includes(written), `the example has ${written}`);
    example = example.replaceAll(written, String(ours));
  }
  const { stdout } = await run("bash", ["--norc", "-euc", example], { cwd: app, env });
  assert.match(stdout, /"status":"SUCCEEDED"/);
  assert.match(stdout, /"stream_state":\{"page":1\}\},"destinationStats":\{"recordCount":2\.0\}/);
  assert.deepEqual(await contents("tickets"), {
    ticket_1: { id: "ticket_1", subject: "Printer on fire" },
    ticket_2: { id: "ticket_2", subject: "No toner" },
  });

  // The image has the app in /airbyte.
  const entrypoint = /^ENTRYPOINT \["node", "\/airbyte\/(.+)"\]$/m.exec(here("Dockerfile"))![1]!;
  assert.ok(existsSync(join(app, entrypoint)), "the image starts a file that is there");
});

test("the image and the registration have the package's version", () => {
  const { version } = JSON.parse(here("package.json"));
  assert.ok(here("metadata.yaml").includes(`dockerImageTag: ${version}\n`));
  assert.ok(here("Dockerfile").includes(`io.airbyte.version="${version}"`));
});
