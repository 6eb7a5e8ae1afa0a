import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { openStorage } from "../../src/storage/open.ts";
import { engines } from "../engines.ts";
import { LONG } from "../long.ts";
import { cleanEnvironment, startServerProcess, TIDEMARK } from "../server-process.ts";
import { whenDone } from "../when-done.ts";
import { createTarget, Pusher, readStored } from "./load.ts";

const KILLS = LONG ? 120 : 6;
const PUSHERS = ["a", "b", "c"];

/** How long a server runs: mostly short, sometimes so long that it has begun to sweep. */
const someMoment = (kill: number) => (kill % 6 === 5 ? 2000 + Math.random() * 800 : 20 + Math.random() * 500);

for (const engine of engines) {
  test(`${engine.name}: a server that is killed under load keeps every acknowledged sync and no half sync`, async (t) => {
    const databaseUrl = await engine.createDatabase(t);
    const settings = { TIDEMARK_DATABASE_URL: databaseUrl, TIDEMARK_LOG_LEVEL: "info" };
    const target = await createTarget(settings.TIDEMARK_DATABASE_URL);
    const pushers = PUSHERS.map((name) => new Pusher(target, name));

    const startAndCheck = async () => {
      const server = await startServerProcess(t, settings);
      const ready = await fetch(`${server.url}/readyz`);
      assert.equal(ready.status, 200, server.log.slice(-5).join("\n"));
      const stored = await readStored(databaseUrl, target.storeId);
      for (const pusher of pushers) await pusher.check(stored, server.url);
      return server;
    };

    for (let kill = 0; kill < KILLS; kill++) {
      const server = await startAndCheck();
      const load = pushers.map((pusher) => pusher.push(server.url));
      await pause(someMoment(kill));
      await server.end("SIGKILL");
      for (const answer of await Promise.all(load)) assert.equal(answer, undefined, JSON.stringify(answer));
      // A start is killed too, while it recovers the database of the last server.
      if (kill % 3 === 0) {
        const env = cleanEnvironment({ ...settings, TIDEMARK_PORT: "0" });
        const starting = spawn(process.execPath, [TIDEMARK, "serve"], { env, stdio: "ignore" });
        await pause(Math.random() * 400);
        starting.kill("SIGKILL");
        await once(starting, "exit");
      }
    }

    const server = await startAndCheck();
    assert.deepEqual(await server.end("SIGTERM"), { code: 0, signal: null });
    const storage = await openStorage(databaseUrl);
    whenDone(t, () => storage.close());
    assert.deepEqual(await engine.findCorruption(storage), []);

    const sum = (of: (pusher: Pusher) => number) => pushers.reduce((total, pusher) => total + of(pusher), 0);
    const acknowledged = sum((pusher) => pusher.acknowledged);
    const applied = sum((pusher) => pusher.unanswered.applied);
    const absent = sum((pusher) => pusher.unanswered.absent);
    t.diagnostic(
      `${KILLS} kills, ${acknowledged} acknowledged syncs; unanswered: ${applied} applied, ${absent} not`,
    );
    assert.ok(acknowledged > KILLS, `only ${acknowledged} syncs were acknowledged`);
    assert.equal(applied + absent, KILLS * PUSHERS.length);
  });
}
