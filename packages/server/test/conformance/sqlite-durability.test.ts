import assert from "node:assert/strict";
import { test } from "node:test";
import { openStorage } from "../../src/storage/open.ts";
import { engines } from "../engines.ts";

test("SQLite: a commit waits for the disk, with and without background checkpoints", async (t) => {
  const databaseUrl = await engines.find(({ name }) => name === "SQLite")!.createDatabase(t);
  for (const backgroundCheckpoints of [false, true]) {
    const storage = await openStorage(databaseUrl, { backgroundCheckpoints });
    const setting = async (name: string) => {
      const [row] = await storage.write((sql) => sql.all(`PRAGMA ${name}`));
      return Object.values(row!)[0];
    };
    assert.equal(await setting("journal_mode"), "wal");
    assert.equal(await setting("synchronous"), 2, "FULL: the log is flushed at each commit");
    assert.equal(await setting("fullfsync"), 1, "on macOS a plain fsync leaves it in the drive's cache");
    assert.equal(await setting("checkpoint_fullfsync"), 1);
    assert.equal(await setting("foreign_keys"), 1);
    await storage.close();
  }
});
