import { type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { whenDone } from "./when-done.ts";

/** The program as it is installed. */
export const TIDEMARK = fileURLToPath(new URL("../bin/tidemark.js", import.meta.url));

export type Environment = Record<string, string>;

/** A server in a process of its own. */
export interface ServerProcess {
  url: string;
  process: ChildProcessByStdio<null, Readable, Readable>;
  /** Its log so far, one line an entry. */
  log: string[];
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

const INHERITED = ["PATH", "HOME", "TMPDIR", "NODE_COMPILE_CACHE"];

/** An environment that is the same wherever the tests run: of this process it has no more than programs need. */
export function cleanEnvironment(settings: Environment): Environment {
  const inherited = INHERITED.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  return { ...Object.fromEntries(inherited), ...settings };
}

/**
 * Starts `tidemark serve` on a free port and waits until it is ready; it is killed when the test ends.
 * @param command what to run instead of Node, such as a shell that sets a limit first
 */
export async function startServerProcess(
  t: TestContext,
  settings: Environment,
  command: [file: string, ...args: string[]] = [process.execPath, TIDEMARK, "serve"],
): Promise<ServerProcess> {
  const [file, ...args] = command;
  const env = cleanEnvironment({
    TIDEMARK_PORT: "0",
    TIDEMARK_RATE_LIMIT_PER_MINUTE: "1000000",
    ...settings,
  });
  const child = spawn(file, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "exit");
  whenDone(t, async () => {
    child.kill("SIGKILL");
    await exited;
  });
  const log: string[] = [];
  const ready = Promise.withResolvers<string>();
  createInterface(child.stdout).on("line", (line) => {
    log.push(line);
    if (line.includes('"msg":"ready"')) ready.resolve(JSON.parse(line).url);
  });
  createInterface(child.stderr).on("line", (line) => log.push(line));
  exited.then(([code]) => ready.reject(new Error(`The server ended with ${code}:\n${log.join("\n")}`)));
  return {
    url: await ready.promise,
    process: child,
    log,
    async end(signal) {
      child.kill(signal);
      const [code, by] = await exited;
      return { code, signal: by };
    },
  };
}

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `tidemark` with some arguments until it ends. */
export function runTidemark(args: string[], settings: Environment): Promise<CommandResult> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [TIDEMARK, ...args],
      { env: cleanEnvironment(settings) },
      (error, stdout, stderr) => {
        resolve({ code: Number(error?.code ?? 0), stdout, stderr });
      },
    );
  });
}

/** The object that a command prints with `--json`. */
// biome-ignore lint/suspicious/noExplicitAny: tests read objects of every shape
export async function runForObject(args: string[], settings: Environment): Promise<any> {
  const { code, stdout, stderr } = await runTidemark([...args, "--json"], settings);
  if (code !== 0) throw new Error(`tidemark ${args.join(" ")} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}
