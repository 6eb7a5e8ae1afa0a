import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startServerProcess } from "../server-process.ts";
import { temporaryFolder } from "../test-server.ts";
import { createTarget, Pusher, readStored, type TestTarget } from "./load.ts";

/** Begins a sync and holds its body back; the server has begun to work on it when this returns. */
async function beginSync(url: string, { organizationId, storeId, key }: TestTarget) {
  const body = JSON.stringify({
    organization_id: organizationId,
    vector_store_id: storeId,
    sync_mode: "incremental",
    sync_timestamp: "2025-11-11T10:30:00Z",
    operations: [{ action: "upsert", id: "held", namespace: "held", data: { number: 1 } }],
  });
  const request = httpRequest(`${url}/v1/pipeline/sync`, {
    method: "POST",
    headers: {
      "x-api-key": key,
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(body)),
      expect: "100-continue",
    },
  });
  const answered = Promise.withResolvers<number>();
  request.on("response", (response) => {
    response.resume().on("end", () => answered.resolve(response.statusCode!));
  });
  request.on("error", answered.reject);
  request.flushHeaders();
  await once(request, "continue");
  return { finish: () => request.end(body), status: answered.promise, request };
}

test("SIGTERM under load: what runs is answered, what was acknowledged is kept, and the server ends with 0", async (t) => {
  const databaseUrl = `file:${await temporaryFolder(t)}/tidemark.db`;
  const settings = { TIDEMARK_DATABASE_URL: databaseUrl };
  const target = await createTarget(settings);
  const server = await startServerProcess(t, settings);
  const pushers = ["a", "b", "c"].map((name) => new Pusher(target, name));
  for (const pusher of pushers) await pusher.pushOnce(server.url);
  const held = await beginSync(server.url, target);
  const load = pushers.map((pusher) => pusher.push(server.url));

  const ended = server.end("SIGTERM");
  while (!server.log.some((line) => line.includes('"msg":"stopping"'))) {
    await once(server.process.stdout, "data");
  }
  const last = await Promise.all(load);
  held.finish();
  assert.equal(await held.status, 200);
  const outcome = await Promise.race([ended, pause(10_000, "still running", { ref: false })]);
  assert.deepEqual(outcome, { code: 0, signal: null });

  for (const answer of last) {
    // Either the server said that it is stopping, or the connection was closed while it was idle.
    if (answer) assert.equal(answer.status, 503, JSON.stringify(answer.body));
  }
  const again = await startServerProcess(t, settings);
  const stored = await readStored(databaseUrl, target.storeId);
  assert.equal(stored.get("held held"), 1);
  for (const pusher of pushers) await pusher.check(stored, again.url);
});

test("SIGTERM: a request that never ends does not keep the server from ending", async (t) => {
  const settings = {
    TIDEMARK_DATABASE_URL: `file:${await temporaryFolder(t)}/tidemark.db`,
    TIDEMARK_SHUTDOWN_TIMEOUT_MS: "300",
  };
  const target = await createTarget(settings);
  const server = await startServerProcess(t, settings);
  const held = await beginSync(server.url, target);
  const broken = assert.rejects(held.status);
  const outcome = await Promise.race([server.end("SIGTERM"), pause(10_000, "still running", { ref: false })]);
  assert.deepEqual(outcome, { code: 0, signal: null });
  await broken;
});
