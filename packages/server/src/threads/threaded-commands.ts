import type { Commands, Duty } from "../commands.ts";
import type { Config } from "../config.ts";
import { isSqlite } from "../storage/open.ts";
import type { RequestBody } from "../wire/read-body.ts";
import { Thread } from "./thread.ts";

/** Commands that run in worker threads. Calls may begin immediately; they wait until the threads are ready. */
export interface ThreadedCommands {
  commands: Commands;
  /** Resolves with the database's warnings when it is open; rejects if it cannot be opened. */
  ready: Promise<string[]>;
  close(): Promise<void>;
}

/**
 * Runs each command in the worker thread of its duty, so that the event loop that serves HTTP stays free. One thread
 * writes, one reads, one prepares the index, and a fourth copies SQLite's write-ahead log.
 * @param onDeath called when a thread died and is being replaced
 */
export async function startThreads(
  config: Config,
  onDeath: (error: Error) => void,
): Promise<ThreadedCommands> {
  const writer = new Thread({ config, duty: "write" }, onDeath);
  // The writer creates the database and serves every duty until the others have opened it: the server starts sooner
  // if the threads do not all load at the same time.
  const threads: Record<Duty, Thread> = { write: writer, read: writer, index: writer };
  const others = writer.ready.then(async () => {
    const read = new Thread({ config, duty: "read" }, onDeath);
    const index = new Thread({ config, duty: "index" }, onDeath);
    const started = [read, index];
    if (isSqlite(config.databaseUrl)) started.push(new Thread({ config, duty: "checkpoint" }, onDeath));
    await Promise.all(started.map(({ ready }) => ready));
    Object.assign(threads, { read, index });
    return started;
  });
  others.catch(onDeath);

  // The writer starts meanwhile, so that loading this costs no time.
  const { COMMANDS, commandsThrough } = await import("../commands.ts");
  return {
    commands: commandsThrough((name, args) => threads[COMMANDS[name].duty].call(name, args, buffersOf(args))),
    ready: writer.ready,
    async close() {
      for (const thread of await others.catch(() => [])) await thread.close();
      // The last connection to close must be the writer's, which tidies up SQLite's log.
      await writer.close();
    },
  };
}

/** The memory of bodies among a call's arguments, which moves to the thread instead of being copied. */
function buffersOf(args: unknown[]): ArrayBuffer[] {
  return args.flatMap((arg) => {
    const bytes = (arg as Partial<RequestBody> | null)?.bytes;
    return bytes instanceof Uint8Array ? [bytes.buffer as ArrayBuffer] : [];
  });
}
