import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PassThrough, Readable, type Writable } from "node:stream";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { everyItem, Tidemark } from "@tidemark/client";
import { openCommands } from "../../server/src/commands.ts";
import { readConfig } from "../../server/src/config.ts";
import { openStorage } from "../../server/src/storage/open.ts";
import {
  cleanEnvironment,
  type Environment,
  type ServerProcess,
  startServerProcess,
} from "../../server/test/server-process.ts";
import { createTenant, temporaryFolder } from "../../server/test/test-server.ts";
import { whenDone } from "../../server/test/when-done.ts";
import { runCommandLine } from "../src/command-line.ts";

const TARGET = fileURLToPath(new URL("../bin/target-tidemark.js", import.meta.url));

/** A message of a tap, or a raw line. */
export type Line = string | object;

export interface Run {
  code: number | null;
  /** The STATE lines. */
  states: string[];
  /** The lines of standard error. */
  errors: string[];
}

/** A target in its own process, with open input. */
export interface RunningTarget {
  process: ChildProcessByStdio<Writable, Readable, Readable>;
  write(lines: Line[]): void;
  /** Waits for the next STATE line. */
  nextState(): Promise<string>;
  kill(): Promise<void>;
  /** Closes the input and waits until the process ends. */
  end(): Promise<Run>;
  /** Waits until the process ends. */
  ended: Promise<Run>;
}

/** A server in its own process with one store on SQLite, and targets that write to it. */
export interface TestStore {
  server: ServerProcess;
  tidemark: Tidemark;
  settings: Record<string, unknown>;
  folder: string;
  /** Runs a target process with these messages to its end. */
  run(lines: Line[], settings?: object): Promise<Run>;
  /** Runs the target in this process, which is faster. */
  runHere(lines: Line[], settings?: object): Promise<Run>;
  start(settings?: object): Promise<RunningTarget>;
  /** The data of each record of a namespace, by id. */
  contents(namespace: string): Promise<Record<string, Record<string, unknown>>>;
  ids(namespace: string): Promise<string[]>;
}

export async function startStore(t: TestContext, environment: Environment = {}): Promise<TestStore> {
  const folder = await temporaryFolder(t);
  const databaseUrl = `file:${folder}/tidemark.db`;
  const storage = await openStorage(databaseUrl);
  const tenant = await createTenant(openCommands(storage, readConfig({}, { databaseUrl }), Date.now));
  await storage.close();
  const server = await startServerProcess(t, { TIDEMARK_DATABASE_URL: databaseUrl, ...environment });
  const settings = {
    url: server.url,
    api_key: tenant.key,
    organization_id: tenant.organizationId,
    vector_store_id: tenant.storeId,
  };
  const { organizationId, storeId: vectorStoreId, key: apiKey } = tenant;
  const tidemark = new Tidemark({ url: server.url, apiKey, organizationId, vectorStoreId });
  let configs = 0;
  const configure = async (more: object = {}) => {
    const path = join(folder, `config-${configs++}.json`);
    await writeFile(path, JSON.stringify({ ...settings, ...more }));
    return ["--config", path];
  };
  const start: TestStore["start"] = async (more) => startTarget(t, await configure(more));
  const contents: TestStore["contents"] = async (namespace) => {
    const records: [string, Record<string, unknown>][] = [];
    for await (const { id, data } of everyItem((page) => tidemark.listRecords({ namespace, ...page }))) {
      records.push([id, data]);
    }
    return Object.fromEntries(records);
  };
  return {
    server,
    tidemark,
    settings,
    folder,
    start,
    async run(lines, more) {
      const target = await start(more);
      target.write(lines);
      return target.end();
    },
    async runHere(lines, more) {
      const [output, errors] = [new PassThrough(), new PassThrough()];
      const input = Readable.from([Buffer.from(written(lines))]);
      const code = await runCommandLine(await configure(more), { input, output, errors, environment: {} });
      return { code, states: linesOf(output), errors: linesOf(errors) };
    },
    contents,
    ids: async (namespace) => Object.keys(await contents(namespace)),
  };
}

const written = (lines: Line[]) =>
  lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join("");

const linesOf = (stream: PassThrough) => `${stream.read() ?? ""}`.split("\n").filter(Boolean);

/** Starts `target-tidemark`, and kills it when the test ends. */
export function startTarget(t: TestContext, args: string[], environment: Environment = {}): RunningTarget {
  const child = spawn(process.execPath, [TARGET, ...args], {
    env: cleanEnvironment(environment),
    stdio: ["pipe", "pipe", "pipe"],
  });
  whenDone(t, () => child.kill("SIGKILL"));
  // The target may end before it has read everything.
  child.stdin.on("error", () => {});
  const states: string[] = [];
  const errors: string[] = [];
  const lines = createInterface(child.stdout);
  lines.on("line", (line) => states.push(line));
  createInterface(child.stderr).on("line", (line) => errors.push(line));
  const ended = once(child, "close").then(([code]) => ({ code, states, errors }));
  let taken = 0;
  return {
    process: child,
    write(messages) {
      child.stdin.write(written(messages));
    },
    async nextState() {
      while (states.length <= taken) {
        const line = once(lines, "line");
        await Promise.race([
          line,
          ended.then(() => Promise.reject(new Error(`It ended: ${errors.join("\n")}`))),
        ]);
      }
      return states[taken++]!;
    },
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
    end() {
      child.stdin.end();
      return ended;
    },
    ended,
  };
}

/** The lines of a message file in `cases/`. */
export function readCase(name: string): string[] {
  return readFileSync(new URL(`cases/${name}.singer`, import.meta.url), "utf8")
    .split("\n")
    .filter(Boolean);
}

export const schema = (
  stream: string,
  properties: Record<string, object>,
  key_properties: string[] = ["id"],
  more: object = {},
) => ({ type: "SCHEMA", stream, schema: { type: "object", properties, ...more }, key_properties });

export const record = (stream: string, data: object, more: object = {}) => ({
  type: "RECORD",
  stream,
  record: data,
  ...more,
});

export const state = (value: unknown) => ({ type: "STATE", value });

export const activate = (stream: string, version: unknown) => ({ type: "ACTIVATE_VERSION", stream, version });
