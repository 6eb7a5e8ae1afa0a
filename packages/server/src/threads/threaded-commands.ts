import { isAccessRead } from "../access/reads.ts";
import { isBrowseWrite } from "../browse/writes.ts";
import type { Commands } from "../commands.ts";
import type { Config } from "../config.ts";
import { isIndexRead } from "../indexing/commands.ts";
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
 * The commands, each run in a worker thread, so that the event loop that serves HTTP is always free: one thread
 * writes, one reads, one works out what goes into the index, and SQLite's write-ahead log is copied by a fourth.
 *
 * @param onDeath told when a thread died and is being replaced
 */
export function startThreads(config: Config, onDeath: (error: Error) => void): ThreadedCommands {
  const writer = new Thread({ config, duty: "write" }, onDeath);
  // The writer makes the database that the others open, and reads for them until they have: a start is quicker
  // when not all of them load at once.
  let reader = writer;
  let indexer = writer;
  const others = writer.ready.then(async () => {
    const readingThread = new Thread({ config, duty: "read" }, onDeath);
    const indexingThread = new Thread({ config, duty: "index" }, onDeath);
    const threads = [readingThread, indexingThread];
    if (isSqlite(config.databaseUrl)) threads.push(new Thread({ config, duty: "checkpoint" }, onDeath));
    await Promise.all(threads.map(({ ready }) => ready));
    reader = readingThread;
    indexer = indexingThread;
    return threads;
  });
  others.catch(onDeath);

  const call = <Name extends keyof Commands>(
    thread: Thread,
    name: Name,
    args: unknown[],
    transfer?: ArrayBuffer[],
  ) => thread.call(name, args, transfer) as ReturnType<Commands[Name]>;
  const commands: Commands = {
    sync: (body, ...rest) => call(writer, "sync", [body, ...rest], [bufferOf(body)]),
    checkExists: (body, ...rest) => call(reader, "checkExists", [body, ...rest], [bufferOf(body)]),
    access: (name, ...args) => {
      const thread = isAccessRead(name) ? reader : writer;
      return thread.call("access", [name, ...args]) as ReturnType<Commands["access"]> as never;
    },
    browse: (name, ...args) => {
      const thread = isBrowseWrite(name) ? writer : reader;
      return thread.call("browse", [name, ...args]) as ReturnType<Commands["browse"]> as never;
    },
    search: (...args) => call(reader, "search", args),
    index: (name, ...args) => {
      const thread = isIndexRead(name) ? indexer : writer;
      return thread.call("index", [name, ...args]) as ReturnType<Commands["index"]> as never;
    },
    countRequest: (...args) => call(reader, "countRequest", args),
    countRecords: () => call(reader, "countRecords", []),
    runMaintenance: (...args) => call(writer, "runMaintenance", args),
  };
  return {
    commands,
    ready: writer.ready,
    async close() {
      for (const thread of await others.catch(() => [])) await thread.close();
      // Last, so that the connection that closes last is the one that tidies up the log.
      await writer.close();
    },
  };
}

/** A body's memory, to be handed over instead of copied. */
function bufferOf({ bytes }: RequestBody): ArrayBuffer {
  return bytes.buffer as ArrayBuffer;
}
