import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startPostgres } from "../postgres-server.ts";
import { startServerProcess } from "../server-process.ts";
import { whenDone } from "../when-done.ts";
import { startFreezingProxy } from "./freezing-proxy.ts";
import { assertUnavailable, createTarget, Pusher, readStored } from "./load.ts";

const TIMEOUT_MS = 2000;
/** Far more than the sum of the time limits. */
const BOUND_MS = 30_000;
const PUSHERS = ["a", "b", "c"];

test("connections that fall silent in mid-statement are closed, and the pool recovers", async (t) => {
  const postgres = await startPostgres();
  whenDone(t, () => postgres.remove());
  const proxy = await startFreezingProxy(t, postgres.port);
  const target = await createTarget(postgres.url);
  const server = await startServerProcess(t, {
    TIDEMARK_DATABASE_URL: `postgres://postgres@127.0.0.1:${proxy.port}/postgres`,
    TIDEMARK_DATABASE_TIMEOUT_MS: String(TIMEOUT_MS),
  });
  const pushers = PUSHERS.map((name) => new Pusher(target, name));

  const serveAgain = async () => {
    const end = performance.now() + BOUND_MS;
    for (const pusher of pushers) {
      for (;;) {
        await pusher.check(await readStored(postgres.url, target.storeId), server.url);
        const answer = await pusher.pushOnce(server.url);
        if (answer?.status === 200) break;
        assertUnavailable(answer);
        assert.ok(performance.now() < end, "the server did not recover");
        await pause(100);
      }
    }
  };

  for (const freeze of ["freezeOpen", "freezeAll", "freezeOpen"] as const) {
    await t.test(freeze === "freezeAll" ? "all of them for a while" : "those that are open", async () => {
      let isEnough = false;
      const load = pushers.map((pusher) => pusher.push(server.url, () => isEnough));
      await pause(300 + Math.random() * 300);
      const frozenAt = performance.now();
      proxy[freeze]();
      assertUnavailable(await Promise.race(load));
      isEnough = true;
      for (const answer of await Promise.all(load)) if (answer?.status !== 200) assertUnavailable(answer);
      assert.ok(performance.now() - frozenAt < BOUND_MS, "a caller waited too long for an answer");
      assert.equal((await fetch(`${server.url}/livez`)).status, 200);
      proxy.thaw();
      await serveAgain();
    });
  }
});
