import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const TIDEMARK = fileURLToPath(new URL("../packages/server/bin/tidemark.js", import.meta.url));

export interface DemoServer {
  url: string;
  /** The connector's key, which writes, and a reader's key. */
  apiKey: string;
  readerKey: string;
  /** Creates an organization, a store, a connector and a reader's key by command line, while the server runs. */
  setUp(): Promise<{ organization_id: string; vector_store_id: string }>;
  /** Sends SIGTERM and waits for the end. @throws Error if the exit code is not 0 */
  stop(): Promise<void>;
}

/** Starts a real server in its own process, on a free port, with an empty database in the folder. */
export async function startServer(folder: string): Promise<DemoServer> {
  // The demo's server has the default settings, so it ignores the settings of other servers.
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("TIDEMARK_"));
  const env = {
    ...Object.fromEntries(inherited),
    TIDEMARK_PORT: "0",
    TIDEMARK_DATABASE_URL: `file:${join(folder, "tidemark.db")}`,
  };
  const child = spawn(process.execPath, [TIDEMARK, "serve"], { env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const server: DemoServer = {
    url: await readUrl(child).catch((error) => {
      child.kill();
      throw error;
    }),
    apiKey: "",
    readerKey: "",
    async setUp() {
      const tidemark = async (...args: string[]) => {
        const { stdout } = await promisify(execFile)(process.execPath, [TIDEMARK, ...args, "--json"], {
          env,
        });
        return JSON.parse(stdout);
      };
      await tidemark("org", "create", "Demo", "--id", "org_demo");
      const owner = ["--organization", "org_demo"];
      await tidemark("store", "create", "READMEs", "--id", "vs_readmes", ...owner);
      const connector = await tidemark("connector", "create", "Demo", "--store", "vs_readmes", ...owner);
      server.apiKey = connector.api_key;
      const reader = await tidemark("key", "create", "Demo", "--role", "reader", ...owner);
      server.readerKey = reader.api_key;
      return { organization_id: "org_demo", vector_store_id: "vs_readmes" };
    },
    async stop() {
      child.kill("SIGTERM");
      const [code] = await ended;
      if (code !== 0) throw new Error(`The server ended with the exit code ${code}.`);
    },
  };
  return server;
}

/** Waits for the log line that has the server's address. */
async function readUrl(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout! });
  try {
    for await (const line of lines) {
      const { msg, url } = JSON.parse(line);
      if (msg === "ready") return url;
    }
  } finally {
    child.stdout!.resume();
  }
  throw new Error("The server did not start.");
}
