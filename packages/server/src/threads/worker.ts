import { parentPort, workerData } from "node:worker_threads";
import { openCommands } from "../commands.ts";
import { openStorage } from "../storage/open.ts";
import { startCheckpoints } from "../storage/sqlite/checkpoints.ts";
import { sqlitePath } from "../storage/sqlite/sqlite.ts";
import { type Call, type Reply, toPlain, type WorkerSetup } from "./messages.ts";

/** The entry of every worker thread: opens what its duty needs, answers calls, and ends when told to close. */
const port = parentPort!;
const { config, duty } = workerData as WorkerSetup;

async function serveCommands(): Promise<() => Promise<void>> {
  const storage = await openStorage(config.databaseUrl, { backgroundCheckpoints: true });
  const commands = openCommands(storage, config);
  port.on("message", async (message: Call | "close") => {
    if (message === "close") return;
    const { number, command, args } = message;
    let reply: Reply;
    try {
      const run = commands[command] as (...args: unknown[]) => Promise<unknown>;
      reply = { number, result: await run(...args) };
    } catch (error) {
      reply = { number, error: toPlain(error) };
    }
    port.postMessage(reply);
  });
  return () => storage.close();
}

const close =
  duty === "checkpoint" ? startCheckpoints(sqlitePath(config.databaseUrl)) : await serveCommands();
port.on("message", async (message: Call | "close") => {
  if (message !== "close") return;
  await close();
  port.close();
});
port.postMessage("ready");
