import { type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { whenDone } from "./when-done.ts";

/** The installed program. */
export const TIDEMARK = fileURLToPath(new URL("../bin/tidemark.js", import.meta.url));

export type Environment = Record<string, string>;

/** A server in its own process. */
export interface ServerProcess {
  url: string;
  process: ChildProcessByStdio<null, Readable, Readable>;
  /** The lines of its log so far. */
  log: string[];
  /** Sends a signal and waits until the process ends. */
  end(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

const INHERITED = ["PATH", "HOME", "TMPDIR", "NODE_COMPILE_CACHE"];

/** An environment that is the same wherever the tests run: it inherits only what programs need. */
export function cleanEnvironment(settings: Environment): Environment {
  const inherited = INHERITED.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  return { ...Object.fromEntries(inherited), ...settings };
}

/**
 * Starts `tidemark serve` on a free port and waits until it is ready; the end of the test kills it.
 * @param command replaces Node, for example by a shell that sets a limit first
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

/** Runs `tidemark` until it ends. */
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
