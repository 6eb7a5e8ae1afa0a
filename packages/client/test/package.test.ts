import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { codeBlocks, ROOT } from "../../server/test/docs/markdown.ts";
import { installPacked } from "../../server/test/packed-packages.ts";
import { temporaryFolder } from "../../server/test/test-server.ts";
import { startStore } from "./store.ts";

const run = promisify(execFile);
const modules = fileURLToPath(new URL("node_modules/", ROOT));
const env = { ...process.env, PATH: join(modules, ".bin") + delimiter + process.env.PATH };

test("the packed package runs its README's first example as written, outside the project and type-checked", async (t) => {
  const folder = await temporaryFolder(t);

  const app = await installPacked(folder, ["protocol", "client"], ["typebox"]);
  const { server, tenant, contents } = await startStore(t);
  const replaced: [string, string][] = [
    ["http://127.0.0.1:8787", server.url],
    ["YOUR_API_KEY", tenant.key],
    ["org_acme", tenant.organizationId],
    ["vs_support", tenant.storeId],
  ];
  let example = codeBlocks("packages/client/README.md", "ts")[0]!;
  for (const [written, here] of replaced) {
    assert.ok(example.includes(written), `the example has ${written}`);
    example = example.replaceAll(written, here);
  }
  await writeFile(join(app, "package.json"), '{"type": "module"}');
  await writeFile(join(app, "example.ts"), example);
  const { stdout } = await run(process.execPath, ["example.ts"], { cwd: app });
  assert.match(stdout, /created: 2,.*in sync: true/s);
  assert.deepEqual(Object.keys(await contents("tickets")), ["ticket_1", "ticket_2"]);

  const browser = ["--lib", "es2022,dom,dom.asynciterable", "--types", ""];
  const compiler = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", ...browser];
  await run("tsc", [...compiler, "example.ts"], { cwd: app, env });
});
