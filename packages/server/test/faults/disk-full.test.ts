import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { openStorage } from "../../src/storage/open.ts";
import { engines } from "../engines.ts";
import { startServerProcess, TIDEMARK } from "../server-process.ts";
import { temporaryFolder } from "../test-server.ts";
import { createTarget, Pusher, readStored } from "./load.ts";

const FILE_LIMIT_KIB = 6 * 1024;

function canLimitFiles(): boolean {
  try {
    execFileSync("prlimit", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

test("a full disk is a 503 and never a false acknowledgement, and with room again the server serves again", {
  skip: canLimitFiles() ? false : "needs prlimit",
}, async (t) => {
  const databaseUrl = `file:${await temporaryFolder(t)}/tidemark.db`;
  const settings = { TIDEMARK_DATABASE_URL: databaseUrl };
  const target = await createTarget(settings.TIDEMARK_DATABASE_URL);
  // No file of the process may grow beyond the limit, as on a disk that is full.
  const limited = `ulimit -S -f ${FILE_LIMIT_KIB} && exec "$@"`;
  const server = await startServerProcess(t, settings, [
    "bash",
    ...["-c", limited, "bash", process.execPath, TIDEMARK, "serve"],
  ]);
  // One after the other, so that what got no definite answer is known before the next is sent.
  const pusher = new Pusher(target, "full", { deletes: false });
  const checkStored = async () => pusher.check(await readStored(databaseUrl, target.storeId), server.url);
  let refused = 0;
  // Long enough that the background work finds the disk full too.
  const end = performance.now() + 4000;
  while (performance.now() < end) {
    const answer = await pusher.pushOnce(server.url);
    if (answer?.status === 200) continue;
    refused++;
    assert.equal(answer?.status, 503, JSON.stringify(answer?.body));
    const { error } = answer.body as { error: { code: string; details: { outcome: string } } };
    assert.equal(error.code, "SERVICE_UNAVAILABLE");
    assert.match(error.details.outcome, /^(not_applied|unknown)$/);
    await checkStored();
  }
  assert.ok(refused > 0);
  assert.equal((await fetch(`${server.url}/livez`)).status, 200);

  execFileSync("prlimit", ["--pid", String(server.process.pid), "--fsize=unlimited:"]);
  let answer = await pusher.pushOnce(server.url);
  for (let tries = 0; tries < 50 && answer?.status !== 200; tries++) {
    await checkStored();
    await pause(100);
    answer = await pusher.pushOnce(server.url);
  }
  assert.equal(answer?.status, 200, JSON.stringify(answer?.body));
  await checkStored();
  assert.deepEqual(await server.end("SIGTERM"), { code: 0, signal: null });
  const storage = await openStorage(databaseUrl);
  t.after(() => storage.close());
  assert.deepEqual(await engines[0]!.findCorruption(storage), []);
});
