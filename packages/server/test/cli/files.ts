import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { TestContext } from "node:test";
import { type CommandResult, cleanEnvironment, type Environment, TIDEMARK } from "../server-process.ts";
import { createTenant, startTestServer, temporaryFolder } from "../test-server.ts";

/** A store on a server in this process, and a folder of files to send to it. */
export interface FileStore {
  folder: string;
  settings: Environment;
  /** Runs `tidemark` with the store's or other settings. @param input the standard input */
  tidemark(args: string[], options?: { input?: string; settings?: Environment }): Promise<CommandResult>;
  write(name: string, content: string | Uint8Array): Promise<string>;
  /** The data of each record of a namespace, by id. */
  contents(namespace?: string): Promise<Record<string, unknown>>;
}

export async function startFileStore(t: TestContext): Promise<FileStore> {
  const server = await startTestServer(t, { rateLimitPerMinute: 1_000_000 });
  server.clock.now = Date.now();
  const { key, organizationId, storeId } = await createTenant(server.commands);
  const folder = await temporaryFolder(t);
  const settings = {
    TIDEMARK_URL: server.url,
    TIDEMARK_API_KEY: key,
    TIDEMARK_ORGANIZATION: organizationId,
    TIDEMARK_STORE: storeId,
    TIDEMARK_CONFIG: join(folder, "none.json"),
  };
  return {
    folder,
    settings,
    async tidemark(args, { input = "", settings: other = settings } = {}) {
      const child = spawn(process.execPath, [TIDEMARK, ...args], { env: cleanEnvironment(other) });
      // A command that fails may end before it reads its input.
      child.stdin.on("error", () => {});
      child.stdin.end(input);
      const exited = once(child, "exit");
      const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
      const [code] = await exited;
      return { code, stdout, stderr };
    },
    async write(name, content) {
      const path = join(folder, name);
      await writeFile(path, content);
      return path;
    },
    async contents(namespace = "tasks") {
      const query = new URLSearchParams({ namespace, limit: "100" });
      const path = `/v1/organizations/${organizationId}/vector-stores/${storeId}/records?${query}`;
      const { body } = await server.request("GET", path, { headers: { "x-api-key": key } });
      return Object.fromEntries(body.data.map(({ id, data }: { id: string; data: object }) => [id, data]));
    },
  };
}

/** NDJSON of rows `r<from>` up to, but without, `r<to>`. */
export const rows = (from: number, to: number, more: object = {}) =>
  Array.from({ length: to - from }, (_, i) => `${JSON.stringify({ id: `r${from + i}`, ...more })}\n`).join(
    "",
  );
