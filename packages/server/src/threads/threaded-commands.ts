import { accessReads } from "../access/commands.ts";
import type { Commands } from "../commands.ts";
import type { Config } from "../config.ts";
import type { RequestBody } from "../wire/read-body.ts";
import { Thread } from "./thread.ts";

/**
 * The commands, each run in a worker thread, so that the event loop that serves HTTP is always free: one thread
 * writes, one reads, one copies the write-ahead log.
 *
 * @param onDeath told when a thread died and is being replaced
 */
export async function startThreads(
  config: Config,
  onDeath: (error: Error) => void,
): Promise<{ commands: Commands; close(): Promise<void> }> {
  // The writer first: it makes the database that the others open.
  const writer = await Thread.start({ config, duty: "write" }, onDeath);
  const [reader, checkpointer] = await Promise.all([
    Thread.start({ config, duty: "read" }, onDeath),
    Thread.start({ config, duty: "checkpoint" }, onDeath),
  ]);
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
      const thread = Object.hasOwn(accessReads, name) ? reader : writer;
      return thread.call("access", [name, ...args]) as ReturnType<Commands["access"]> as never;
    },
    countRequest: (...args) => call(reader, "countRequest", args),
    countRecords: () => call(reader, "countRecords", []),
    keepHouse: () => call(writer, "keepHouse", []),
  };
  return {
    commands,
    async close() {
      await checkpointer.close();
      await reader.close();
      await writer.close();
    },
  };
}

/** A body's memory, to be handed over instead of copied. */
function bufferOf({ bytes }: RequestBody): ArrayBuffer {
  return bytes.buffer as ArrayBuffer;
}
