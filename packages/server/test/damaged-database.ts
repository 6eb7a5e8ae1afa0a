import { closeSync, openSync, writeSync } from "node:fs";
import type { TestContext } from "node:test";
import { openStorage } from "../src/storage/open.ts";
import { sqlitePath } from "../src/storage/sqlite/path.ts";
import { engines } from "./engines.ts";
import { ledgerOver } from "./test-ledger.ts";

const PAGE_BYTES = 8192;

/** Creates a SQLite database with records, and overwrites some pages as a bad disk would. @returns its URL */
export async function createDamaged(t: TestContext): Promise<string> {
  const databaseUrl = await engines.find(({ name }) => name === "SQLite")!.createDatabase(t);
  const storage = await openStorage(databaseUrl);
  const { sync } = await ledgerOver(storage).createStore();
  const operations = Array.from({ length: 2000 }, (_, index) => ({
    action: "upsert",
    id: `r${index}`,
    namespace: "tasks",
    data: { text: "x".repeat(300) },
  }));
  await sync({ operations });
  await storage.close();
  const file = openSync(sqlitePath(databaseUrl), "r+");
  const garbage = Buffer.alloc(200, 7);
  for (let page = 30; page < 60; page++) writeSync(file, garbage, 0, garbage.length, page * PAGE_BYTES);
  closeSync(file);
  return databaseUrl;
}
