import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { installPacked } from "../packed-packages.ts";
import { startServerProcess } from "../server-process.ts";
import { temporaryFolder } from "../test-server.ts";

test("the packed packages run outside a checkout", async (t) => {
  const folder = await temporaryFolder(t);
  const app = await installPacked(folder, ["protocol", "client", "server"]);
  const tidemark = join(app, "node_modules", "@tidemark", "server", "bin", "tidemark.js");
  const settings = { TIDEMARK_DATABASE_URL: `file:${folder}/tidemark.db` };
  const server = await startServerProcess(t, settings, [process.execPath, tidemark, "serve"]);
  const ready = await fetch(`${server.url}/readyz`);
  assert.deepEqual(await ready.json(), { status: "ok" });
  assert.deepEqual(await server.end("SIGTERM"), { code: 0, signal: null });
});
