import type { Commands, Duty } from "../commands.ts";
import type { Config } from "../config.ts";
import { isSqlite } from "../storage/open.ts";
import type { RequestBody } from "../wire/read-body.ts";
import { Thread } from "./thread.ts";

/** The commands, run elsewhere. Calls may be made at once; they are served when the threads are ready. */
export interface ThreadedCommands {
  commands: Commands;
  /** Resolves with the database's warnings when commands are served; rejects if it cannot be opened. */
  ready: Promise<string[]>;
  close(): Promise<void>;
}

/**
 * The commands, each run in the worker thread of its duty, so that the event loop that serves HTTP is always free: one
 * thread writes, one reads, one works out what goes into the index, and SQLite's write-ahead log is copied by a fourth.
 *
 * @param onDeath told when a thread died and is being replaced
 */
export async function startThreads(
  config: Config,
  onDeath: (error: Error) => void,
): Promise<ThreadedCommands> {
  const writer = new Thread({ config, duty: "write" }, onDeath);
  // The writer makes the database that the others open, and reads for them until they have: a start is quicker
  // when not all of them load at once.
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

  // Loaded while the writer starts, so that the start does not take longer.
  const { COMMANDS, commandsThrough } = await import("../commands.ts");
  return {
    commands: commandsThrough((name, args) => threads[COMMANDS[name].duty].call(name, args, buffersOf(args))),
    ready: writer.ready,
    async close() {
      for (const thread of await others.catch(() => [])) await thread.close();
      // Last, so that the connection that closes last is the one that tidies up the log.
      await writer.close();
    },
  };
}

/** The memory of bodies among a call's arguments, which is handed over instead of copied. */
function buffersOf(args: unknown[]): ArrayBuffer[] {
  return args.flatMap((arg) => {
    const bytes = (arg as Partial<RequestBody> | null)?.bytes;
    return bytes instanceof Uint8Array ? [bytes.buffer as ArrayBuffer] : [];
  });
}
