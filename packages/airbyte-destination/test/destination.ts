import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { after, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { everyItem, Management, Tidemark } from "@tidemark/client";
import { lineText, readLines } from "@tidemark/protocol/lines";
import { memoryFolder } from "../../server/test/memory-folder.ts";
import { cleanEnvironment, runForObject, startServerProcess } from "../../server/test/server-process.ts";
import { whenDone } from "../../server/test/when-done.ts";

/** The installed program. */
export const DESTINATION = fileURLToPath(new URL("../bin/tidemark-airbyte-destination.js", import.meta.url));

// biome-ignore lint/suspicious/noExplicitAny: tests read messages of every shape
export type Message = any;

/** A store on a server in another process, and a destination's configuration for it. */
export interface TestStore {
  config: Record<string, unknown>;
  tidemark: Tidemark;
  /** The data of each record of a namespace, by id. */
  contents(namespace: string): Promise<Record<string, unknown>>;
  /** The data of all records, by namespace. */
  everything(): Promise<Record<string, unknown[]>>;
}

/** Starts one server for all tests of a file; each test creates its own store. */
export async function startServer(settings: Record<string, string> = {}) {
  const folder = await mkdtemp(join(memoryFolder(), "tidemark-airbyte-"));
  const environment = { TIDEMARK_DATABASE_URL: `file:${folder}/tidemark.db`, ...settings };
  const { id: organizationId } = await runForObject(["org", "create", "Acme"], environment);
  const key = ["key", "create", "--role", "admin", "--organization", organizationId];
  const { api_key: adminKey } = await runForObject(key, environment);
  const file = { after } as unknown as TestContext;
  let server = await startServerProcess(file, environment);
  after(async () => {
    await server.end("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  });
  const management = new Management({ url: server.url, apiKey: adminKey, organizationId });
  return {
    url: server.url,
    /** Kills the server and starts it again at the same address. */
    async restart() {
      await server.end("SIGKILL");
      const { port } = new URL(server.url);
      server = await startServerProcess(file, { ...environment, TIDEMARK_PORT: port });
    },
    management,
    async newStore(): Promise<TestStore> {
      const store = await management.createVectorStore({ name: "Docs" });
      const connector = await management.createConnector({ name: "Airbyte", vector_store_id: store.id });
      const { url } = server;
      const access = { apiKey: connector.api_key, organizationId, vectorStoreId: store.id };
      const tidemark = new Tidemark({ url, ...access });
      const contents: TestStore["contents"] = async (namespace) => {
        const records: [string, unknown][] = [];
        for await (const { id, data } of everyItem((page) => tidemark.listRecords({ namespace, ...page }))) {
          records.push([id, data]);
        }
        return Object.fromEntries(records);
      };
      return {
        config: {
          url,
          api_key: connector.api_key,
          organization_id: organizationId,
          vector_store_id: store.id,
        },
        tidemark,
        contents,
        async everything() {
          const namespaces: [string, unknown[]][] = [];
          for await (const { namespace, records } of everyItem((page) => tidemark.listNamespaces(page))) {
            if (records > 0) namespaces.push([namespace, Object.values(await contents(namespace))]);
          }
          // An assignment would lose a stream with the name __proto__.
          return Object.fromEntries(namespaces);
        },
      };
    },
  };
}

/** A destination in its own process. */
export interface Destination {
  process: ChildProcessByStdio<Writable, Readable, Readable>;
  messages: Message[];
  /** Sends messages, or raw lines. */
  send(...messages: (object | string)[]): void;
  /** Waits for the next message that matches. */
  next(matches: (message: Message) => boolean): Promise<Message>;
  /** Ends the input and waits for the end. */
  end(): Promise<Result>;
  ended: Promise<Result>;
}

export interface Result {
  code: number | null;
  messages: Message[];
  states: Message[];
  /** The errors of TRACE messages. */
  errors: Message[];
  logs: string[];
  stderr: string;
}

/** Starts the program, with an option for each file. */
export async function startDestination(
  t: TestContext,
  command: string,
  files: Record<string, unknown> = {},
  program = DESTINATION,
): Promise<Destination> {
  const folder = await mkdtemp(join(memoryFolder(), "tidemark-airbyte-"));
  whenDone(t, () => rm(folder, { recursive: true, force: true }));
  const args = [program, command];
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, `${name}.json`);
    await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
    args.push(`--${name}`, path);
  }
  const child = spawn(process.execPath, args, { env: cleanEnvironment({}), stdio: ["pipe", "pipe", "pipe"] });
  whenDone(t, () => child.kill("SIGKILL"));
  // A program that ends early does not read the rest of its input.
  child.stdin.on("error", () => {});
  const messages: Message[] = [];
  const watchers = new Set<(message: Message) => void>();
  const read = async () => {
    for await (const lines of readLines(child.stdout)) {
      for (const line of lines) {
        messages.push(JSON.parse(lineText(line)!));
        for (const watch of watchers) watch(messages.at(-1));
      }
    }
  };
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const ended = Promise.all([once(child, "close"), read()]).then(([[code]]): Result => {
    const ofType = (type: string) => messages.filter((message) => message.type === type);
    const logs = ofType("LOG").map(({ log }) => `${log.level} ${log.message}`);
    const states = ofType("STATE").map(({ state }) => state);
    const errors = ofType("TRACE").map(({ trace }) => trace.error);
    return { code, messages, states, errors, logs, stderr };
  });
  return {
    process: child,
    messages,
    send: (...sent) => {
      const lines = sent.map((message) =>
        message instanceof Uint8Array || typeof message === "string" ? message : JSON.stringify(message),
      );
      child.stdin.write(Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from("\n")])));
    },
    next: (matches) =>
      new Promise((resolve, reject) => {
        const watch = (message: Message) => {
          if (!matches(message)) return;
          watchers.delete(watch);
          resolve(message);
        };
        watchers.add(watch);
        ended.then(({ errors }) =>
          reject(new Error(`The destination ended first: ${JSON.stringify(errors)}`)),
        );
      }),
    end: () => {
      child.stdin.end();
      return ended;
    },
    ended,
  };
}

/** Runs `write` with these messages until it ends. */
export async function runWrite(
  t: TestContext,
  config: unknown,
  catalog: unknown,
  messages: (object | string)[],
): Promise<Result> {
  const destination = await startDestination(t, "write", { config, catalog });
  destination.send(...messages);
  return destination.end();
}

/** A configured stream; its default mode is append. */
export function stream(name: string, fields: Record<string, unknown> = {}): Record<string, unknown> {
  const { namespace, json_schema = {}, ...configured } = fields;
  return {
    stream: {
      name,
      json_schema,
      supported_sync_modes: ["full_refresh", "incremental"],
      ...(namespace !== undefined && { namespace }),
    },
    sync_mode: "incremental",
    destination_sync_mode: "append",
    generation_id: 1,
    minimum_generation_id: 0,
    sync_id: 1,
    ...configured,
  };
}

/** A stream with the key `id`, and a generation that replaces it. */
export const refreshed = (name: string, generation: number, fields: Record<string, unknown> = {}) =>
  stream(name, {
    destination_sync_mode: "overwrite",
    primary_key: [["id"]],
    generation_id: generation,
    minimum_generation_id: generation,
    ...fields,
  });

/** A deduplicated stream with the key `id`. */
export const deduplicated = (name: string, fields: Record<string, unknown> = {}) =>
  stream(name, { destination_sync_mode: "append_dedup", primary_key: [["id"]], ...fields });

export const record = (name: string, data: unknown, namespace?: string) => ({
  type: "RECORD",
  record: { stream: name, data, emitted_at: 1602637589000, ...(namespace !== undefined && { namespace }) },
});

export const status = (name: string, value: string, namespace?: string) => ({
  type: "TRACE",
  trace: {
    type: "STREAM_STATUS",
    emitted_at: 1602637589000,
    stream_status: {
      stream_descriptor: { name, ...(namespace !== undefined && { namespace }) },
      status: value,
    },
  },
});

export const complete = (name: string, namespace?: string) => status(name, "COMPLETE", namespace);

export const streamState = (name: string, state: unknown, namespace?: string) => ({
  type: "STATE",
  state: {
    type: "STREAM",
    stream: {
      stream_descriptor: { name, ...(namespace !== undefined && { namespace }) },
      stream_state: state,
    },
  },
});

/** The stream state of each emitted state. */
export const stateValues = (states: Message[]) => states.map(({ stream }) => stream.stream_state);
