import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { LONG } from "../long.ts";
import { startPostgres } from "../postgres-server.ts";
import { startServerProcess } from "../server-process.ts";
import { whenDone } from "../when-done.ts";
import { assertUnavailable, createTarget, Pusher, readStored } from "./load.ts";

const CRASHES = LONG ? 50 : 2;
const PUSHERS = ["a", "b", "c"];
const RECOVERED_WITHIN_MS = 30_000;

test("a crash of PostgreSQL under load causes 503s, and loses nothing that was acknowledged", async (t) => {
  const postgres = await startPostgres();
  whenDone(t, () => postgres.remove());
  const target = await createTarget(postgres.url);
  const server = await startServerProcess(t, { TIDEMARK_DATABASE_URL: postgres.url });
  const pushers = PUSHERS.map((name) => new Pusher(target, name));
  const sum = (of: (pusher: Pusher) => number) => pushers.reduce((total, pusher) => total + of(pusher), 0);
  const acknowledged = () => sum((pusher) => pusher.acknowledged);

  for (let crash = 0; crash < CRASHES; crash++) {
    const before = acknowledged();
    const load = pushers.map((pusher) => pusher.push(server.url));
    await pause(100 + Math.random() * 600);
    // Even on a slow machine, there must be acknowledged syncs that the crash could lose.
    while (acknowledged() === before) await pause(10);
    await postgres.crash();
    for (const answer of await Promise.all(load)) assertUnavailable(answer);
    const readyz = await fetch(`${server.url}/readyz`);
    assert.equal(readyz.status, 503);
    assert.equal((await fetch(`${server.url}/livez`)).status, 200);

    await postgres.start();
    const stored = await readStored(postgres.url, target.storeId);
    const end = performance.now() + RECOVERED_WITHIN_MS;
    for (;;) {
      const { status } = await fetch(`${server.url}/readyz`);
      if (status === 200) break;
      assert.ok(performance.now() < end, "the server did not recover");
      await pause(50);
    }
    for (const pusher of pushers) await pusher.check(stored, server.url);
  }
  assert.deepEqual(await server.end("SIGTERM"), { code: 0, signal: null });

  const applied = sum((pusher) => pusher.unanswered.applied);
  const absent = sum((pusher) => pusher.unanswered.absent);
  t.diagnostic(
    `${CRASHES} crashes, ${acknowledged()} acknowledged syncs; unsure: ${applied} applied, ${absent} not`,
  );
});
