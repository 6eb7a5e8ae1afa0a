import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startPostgres } from "../postgres-server.ts";
import { startServerProcess } from "../server-process.ts";
import { whenDone } from "../when-done.ts";
import { assertUnavailable, createTarget, Pusher, readStored } from "./load.ts";

const DISK_MB = 170;
const BALLAST_MB = 40;
const RECOVERED_WITHIN_MS = 30_000;

/** Mounts a small disk. @returns false if this user may not mount one */
function mountSmallDisk(folder: string): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_MB}m`, "tmpfs", folder], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

test("PostgreSQL on a full disk causes 503s and no false acknowledgement", async (t) => {
  const disk = await mkdtemp(join(tmpdir(), "tidemark-test-"));
  if (!mountSmallDisk(disk)) {
    await rm(disk, { recursive: true });
    return t.skip("needs the right to mount a disk");
  }
  const starting = startPostgres({ disk, settings: { min_wal_size: "32MB", max_wal_size: "32MB" } });
  whenDone(t, async () => {
    await (await starting).remove();
    execFileSync("umount", [disk]);
    await rm(disk, { recursive: true });
  });
  const postgres = await starting;
  const ballast = join(disk, "ballast");
  await writeFile(ballast, Buffer.alloc(BALLAST_MB * 1024 * 1024));
  const target = await createTarget(postgres.url);
  const server = await startServerProcess(t, { TIDEMARK_DATABASE_URL: postgres.url });
  const pusher = new Pusher(target, "full", { deletes: false, fillerBytes: 20_000 });

  assertUnavailable(await pusher.push(server.url));
  assert.ok(pusher.acknowledged > 0);
  assert.equal((await fetch(`${server.url}/livez`)).status, 200);

  await rm(ballast);
  // If the full disk stopped PostgreSQL, its operator starts it again.
  await postgres.crash();
  await postgres.start();
  const end = performance.now() + RECOVERED_WITHIN_MS;
  while ((await fetch(`${server.url}/readyz`)).status !== 200) {
    assert.ok(performance.now() < end, "the server did not recover after there was free space");
    await pause(50);
  }
  await pusher.check(await readStored(postgres.url, target.storeId), server.url);
  const answer = await pusher.pushOnce(server.url);
  assert.equal(answer?.status, 200, JSON.stringify(answer?.body));
  await pusher.check(await readStored(postgres.url, target.storeId), server.url);
  t.diagnostic(`${pusher.acknowledged} acknowledged syncs`);
});
