import { type Config, readConfig } from "../config.ts";
import type { Storage } from "../storage/port.ts";
import { fail } from "./failure.ts";

/**
 * Runs work of the machine's owner on the open database itself, beside a server or without one. An error is one line on
 * standard error and exit code 1.
 */
export async function withStorage(work: (storage: Storage, config: Config) => Promise<void>): Promise<void> {
  try {
    const config = readConfig();
    const { openStorage } = await import("../storage/open.ts");
    const storage = await openStorage(config.databaseUrl, { timeoutMs: config.databaseTimeoutMs });
    try {
      await work(storage, config);
    } finally {
      await storage.close();
    }
  } catch (error) {
    fail(error);
  }
}
