import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { codeBlocks, ROOT } from "../../server/test/docs/markdown.ts";
import { createRoleKey, indexAll, temporaryFolder } from "../../server/test/test-server.ts";
import { startStore, type TestStore } from "./store.ts";

test("the guide's examples run in order, as written except for host and key", async (t) => {
  const store = await startStore(t);
  const blocks = codeBlocks("docs/guides/client.md", "ts");
  assert.ok(blocks.length >= 6);
  await runExample(t, store, blocks.join("\n"));
  assert.deepEqual(await store.contents("tickets"), {}, "its last sync has no records");
});

test("the search guide's example prints its results", async (t) => {
  const store = await startStore(t);
  const { server, tenant, tidemark } = store;
  const printer = { id: "ticket_1", data: { subject: "Printer on fire" } };
  await tidemark.syncAll([printer], { mode: "incremental", namespace: "tickets" });
  await indexAll(server.commands);
  const reader = await createRoleKey(server.commands, "reader", tenant.organizationId);
  const [block, ...more] = codeBlocks("docs/guides/search.md", "ts");
  assert.deepEqual(more, []);
  const printed = await runExample(t, store, block!.replaceAll("YOUR_READER_KEY", reader));
  assert.match(printed, /^ticket_1 [\d.]+ Printer on fire\n$/);
});

/** Runs an example as written except for host, key and store. @returns its output */
async function runExample(t: TestContext, { server, tenant }: TestStore, code: string): Promise<string> {
  const example = code
    .replaceAll("http://127.0.0.1:8787", server.url)
    .replaceAll("YOUR_API_KEY", tenant.key)
    .replaceAll("org_acme", tenant.organizationId)
    .replaceAll("vs_support", tenant.storeId);
  const folder = await temporaryFolder(t);
  await symlink(fileURLToPath(new URL("node_modules", ROOT)), join(folder, "node_modules"));
  await writeFile(join(folder, "package.json"), '{"type": "module"}');
  await writeFile(join(folder, "guide.ts"), example);
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["guide.ts"], { cwd: folder });
  assert.equal(stderr, "");
  return stdout;
}
