import { parentPort, workerData } from "node:worker_threads";
import { openCommands } from "../commands.ts";
import { openStorage } from "../storage/open.ts";
import { type Call, COMMAND_THREADS, type Reply, toPlain, type WorkerSetup } from "./messages.ts";

/** The entry of a thread that runs commands: opens the storage, answers calls, and ends on "close". */
const port = parentPort!;
const { config } = workerData as WorkerSetup;
const storage = await openStorage(config.databaseUrl, {
  backgroundCheckpoints: true,
  connections: Math.floor(config.databaseConnections / COMMAND_THREADS),
  timeoutMs: config.databaseTimeoutMs,
  embeds: config.embeddingsUrl !== "",
});
const commands = openCommands(storage, config);

port.on("message", async (message: Call | "close") => {
  if (message === "close") {
    await storage.close();
    // A call that still waits for an embeddings endpoint must not keep the thread alive.
    process.exit();
  }
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
port.postMessage(storage.warnings);
