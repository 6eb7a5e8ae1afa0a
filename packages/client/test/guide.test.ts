import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { codeBlocks, ROOT } from "../../server/test/docs/markdown.ts";
import { temporaryFolder } from "../../server/test/test-server.ts";
import { startStore } from "./store.ts";

test("the guide's examples run in order, as written but for host and key", async (t) => {
  const { server, tenant, contents } = await startStore(t);
  const blocks = codeBlocks("docs/guides/client.md", "ts");
  assert.ok(blocks.length >= 6);
  const example = blocks
    .join("\n")
    .replaceAll("http://127.0.0.1:8787", server.url)
    .replaceAll("YOUR_API_KEY", tenant.key)
    .replaceAll("org_acme", tenant.organizationId)
    .replaceAll("vs_support", tenant.storeId);
  const folder = await temporaryFolder(t);
  await symlink(fileURLToPath(new URL("node_modules", ROOT)), join(folder, "node_modules"));
  await writeFile(join(folder, "package.json"), '{"type": "module"}');
  await writeFile(join(folder, "guide.ts"), example);
  const { stderr } = await promisify(execFile)(process.execPath, ["guide.ts"], { cwd: folder });
  assert.equal(stderr, "");
  assert.deepEqual(await contents("tickets"), {}, "its last sync has no records");
});
