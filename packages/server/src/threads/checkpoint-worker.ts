import { parentPort, workerData } from "node:worker_threads";
import { startCheckpoints } from "../storage/sqlite/checkpoints.ts";
import { sqlitePath } from "../storage/sqlite/path.ts";
import type { WorkerSetup } from "./messages.ts";

/** The entry of the thread that copies SQLite's write-ahead log. Any message ends it. */
const port = parentPort!;
const { config } = workerData as WorkerSetup;
const stop = startCheckpoints(sqlitePath(config.databaseUrl));
port.on("message", () => {
  stop();
  port.close();
});
port.postMessage([]);
