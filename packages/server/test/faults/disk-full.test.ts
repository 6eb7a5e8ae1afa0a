import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { openStorage } from "../../src/storage/open.ts";
import { engines } from "../engines.ts";
import { LONG } from "../long.ts";
import { startServerProcess, TIDEMARK } from "../server-process.ts";
import { temporaryFolder } from "../test-server.ts";
import { whenDone } from "../when-done.ts";
import { assertUnavailable, createTarget, Pusher, readStored } from "./load.ts";

/** More than the write-ahead log has before it is copied, so that each file meets the limit in turn. */
const FILE_LIMIT_KIB = 4600;
const LOAD_MS = 4000;

function canLimitFiles(): boolean {
  try {
    execFileSync("prlimit", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
const skip = canLimitFiles() ? false : "needs prlimit";

/** Starts a server whose files may not grow beyond a limit, as on a full disk. */
function startLimited(t: TestContext, databaseUrl: string, limitKib: number) {
  const limited = `ulimit -S -f ${limitKib} && exec "$@"`;
  const command: [string, ...string[]] = ["bash", "-c", limited, "bash", process.execPath, TIDEMARK, "serve"];
  return startServerProcess(t, { TIDEMARK_DATABASE_URL: databaseUrl }, command);
}

test("a full disk causes 503s and no false acknowledgement, and the server recovers with free space", {
  skip,
}, async (t) => {
  const databaseUrl = `file:${await temporaryFolder(t)}/tidemark.db`;
  const target = await createTarget(databaseUrl);
  const server = await startLimited(t, databaseUrl, FILE_LIMIT_KIB);
  // Syncs run one after another, so that a sync without a definite answer is resolved before the next one.
  const pusher = new Pusher(target, "full", { deletes: false });
  const checkStored = async () => pusher.check(await readStored(databaseUrl, target.storeId), server.url);
  let refused = 0;
  const end = performance.now() + LOAD_MS;
  // A busy machine fills the disk more slowly.
  while (performance.now() < end || (refused === 0 && performance.now() < end + 60_000)) {
    const answer = await pusher.pushOnce(server.url);
    if (answer?.status === 200) continue;
    refused++;
    assertUnavailable(answer);
    await checkStored();
  }
  assert.ok(
    pusher.acknowledged > 0 && refused > 0,
    `${pusher.acknowledged} acknowledged, ${refused} rejected`,
  );
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
  whenDone(t, () => storage.close());
  assert.deepEqual(await engines[0]!.findCorruption(storage), []);

  await t.test("threads do not die of it repeatedly", () => {
    const deaths = server.log.filter((line) => line.includes("thread died"));
    assert.ok(deaths.length <= 1, `${deaths.length} deaths, for example ${deaths[0]}`);
  });
});

test("a full disk also causes 503s if the write-ahead log has grown long", {
  skip: skip || (LONG ? false : "only in the long form"),
}, async (t) => {
  const databaseUrl = `file:${await temporaryFolder(t)}/tidemark.db`;
  const target = await createTarget(databaseUrl);
  const server = await startLimited(t, databaseUrl, 73_000);
  const pusher = new Pusher(target, "full", { deletes: false, fillerBytes: 20_000 });
  let refused = 0;
  for (let sync = 0; sync < 400 && refused < 10; sync++) {
    const answer = await pusher.pushOnce(server.url);
    if (answer?.status === 200) continue;
    refused++;
    assertUnavailable(answer);
  }
  assert.equal(refused, 10);
});
