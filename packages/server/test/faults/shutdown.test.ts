import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { type ServerProcess, startServerProcess } from "../server-process.ts";
import { type Tenant, temporaryFolder } from "../test-server.ts";
import { whenDone } from "../when-done.ts";
import { createTarget, Pusher, readStored } from "./load.ts";

/** Begins a sync and holds its body back. When this returns, the server has begun to work on it. */
async function beginSync(
  url: string,
  { organizationId, storeId, key }: Tenant,
  agent: Agent | false = false,
) {
  const body = JSON.stringify({
    organization_id: organizationId,
    vector_store_id: storeId,
    sync_mode: "incremental",
    sync_timestamp: "2025-11-11T10:30:00Z",
    operations: [{ action: "upsert", id: "held", namespace: "held", data: { number: 1 } }],
  });
  const request = httpRequest(`${url}/v1/pipeline/sync`, {
    method: "POST",
    agent,
    headers: {
      "x-api-key": key,
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(body)),
      expect: "100-continue",
    },
  });
  const answered = Promise.withResolvers<{ status: number; headers: IncomingHttpHeaders }>();
  request.on("response", (response) => {
    const { statusCode, headers } = response;
    response.resume().on("end", () => answered.resolve({ status: statusCode!, headers }));
  });
  request.on("error", answered.reject);
  request.flushHeaders();
  await once(request, "continue");
  return { finish: () => request.end(body), answer: answered.promise };
}

/** Sends SIGTERM, and waits until the server answers that it is stopping. @returns how it ends */
async function terminate(server: ServerProcess) {
  const ended = Promise.race([
    server.end("SIGTERM"),
    pause(10_000, "still running after 10 s", { ref: false }),
  ]);
  while (!server.log.some((line) => line.includes('"msg":"stopping"'))) {
    await once(server.process.stdout, "data");
  }
  return { ended };
}

test("SIGTERM under load: running requests are answered, acknowledged syncs are kept, and the server exits with 0", async (t) => {
  const databaseUrl = `file:${await temporaryFolder(t)}/tidemark.db`;
  const settings = { TIDEMARK_DATABASE_URL: databaseUrl };
  const target = await createTarget(settings.TIDEMARK_DATABASE_URL);
  const server = await startServerProcess(t, settings);
  const pushers = ["a", "b", "c"].map((name) => new Pusher(target, name));
  for (const pusher of pushers) await pusher.pushOnce(server.url);
  const held = await beginSync(server.url, target);
  const load = pushers.map((pusher) => pusher.push(server.url));

  const { ended } = await terminate(server);
  const last = await Promise.all(load);
  held.finish();
  assert.equal((await held.answer).status, 200);
  assert.deepEqual(await ended, { code: 0, signal: null });

  for (const answer of last) {
    // Either the server answered that it is stopping, or it closed the idle connection.
    if (answer) assert.equal(answer.status, 503, JSON.stringify(answer.body));
  }
  const again = await startServerProcess(t, settings);
  const stored = await readStored(databaseUrl, target.storeId);
  assert.equal(stored.get("held held"), 1);
  for (const pusher of pushers) await pusher.check(stored, again.url);
});

test("SIGTERM: a request that never ends does not keep the server from exiting", async (t) => {
  const settings = {
    TIDEMARK_DATABASE_URL: `file:${await temporaryFolder(t)}/tidemark.db`,
    TIDEMARK_SHUTDOWN_TIMEOUT_MS: "300",
  };
  const target = await createTarget(settings.TIDEMARK_DATABASE_URL);
  const server = await startServerProcess(t, settings);
  const held = await beginSync(server.url, target);
  const broken = assert.rejects(held.answer);
  const { ended } = await terminate(server);
  assert.deepEqual(await ended, { code: 0, signal: null });
  await broken;
});

test("SIGTERM: the answer to a running request closes its connection, so that the exit does not wait for it", async (t) => {
  const settings = { TIDEMARK_DATABASE_URL: `file:${await temporaryFolder(t)}/tidemark.db` };
  const target = await createTarget(settings.TIDEMARK_DATABASE_URL);
  const server = await startServerProcess(t, settings);
  const agent = new Agent({ keepAlive: true });
  whenDone(t, () => agent.destroy());
  const held = await beginSync(server.url, target, agent);
  await terminate(server);
  held.finish();
  const { status, headers } = await held.answer;
  assert.deepEqual([status, headers.connection], [200, "close"]);
});
