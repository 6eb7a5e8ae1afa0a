import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { codeBlocks, ROOT } from "../../server/test/docs/markdown.ts";
import { installPacked } from "../../server/test/packed-packages.ts";
import { startStore } from "./target-process.ts";

const run = promisify(execFile);
const modules = fileURLToPath(new URL("node_modules/", ROOT));
const PATH = join(modules, ".bin") + delimiter + process.env.PATH;

test("the packed package alone runs the first example of its README as written", async (t) => {
  const store = await startStore(t);
  const app = await installPacked(
    store.folder,
    ["protocol", "client", "singer-target"],
    ["typebox", "ajv", "ajv-formats"],
  );

  let example = codeBlocks("packages/singer-target/README.md", "bash")[0]!;
  const { url, api_key, organization_id, vector_store_id } = store.settings as Record<string, string>;
  for (const [written, here] of [
    ["http://127.0.0.1:8787", url],
    ["YOUR_API_KEY", api_key],
    ["org_acme", organization_id],
    ["vs_support", vector_store_id],
  ] as const) {
    assert.ok(example.includes(written), `the example has ${written}`);
    example = example.replaceAll(written, here!);
  }
  const { stdout } = await run("bash", ["--norc", "-euo", "pipefail", "-c", example], {
    cwd: app,
    env: { ...process.env, PATH: join(app, "node_modules", ".bin") + delimiter + PATH },
  });
  assert.equal(stdout, '{"bookmarks": {"tickets": {"id": 2}}}\n');
  assert.deepEqual(await store.contents("tickets"), {
    1: { id: 1, subject: "Printer on fire" },
    2: { id: 2, subject: "No toner" },
  });
});
