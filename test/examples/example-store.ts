import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { cp, symlink } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { everyItem, Tidemark } from "@tidemark/client";
import { openCommands } from "../../packages/server/src/commands.ts";
import { readConfig } from "../../packages/server/src/config.ts";
import { openStorage } from "../../packages/server/src/storage/open.ts";
import {
  type CommandResult,
  cleanEnvironment,
  type Environment,
  startServerProcess,
} from "../../packages/server/test/server-process.ts";
import { createRoleKey, createTenant, temporaryFolder } from "../../packages/server/test/test-server.ts";

/** The project's folder. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A real server, and the environment of an example. */
export interface ExampleStore {
  url: string;
  /** The variables that examples/README.md sets. */
  environment: Environment;
  /** Clients with the connector's key and with the reader's key. */
  pipeline: Tidemark;
  reader: Tidemark;
  /** The data of each record of a namespace, by id. */
  contents(namespace: string): Promise<Record<string, unknown>>;
}

/** Starts a server with an indexer in its own process, with a store, a connector and a reader. */
export async function startExampleStore(t: TestContext): Promise<ExampleStore> {
  const databaseUrl = `file:${await temporaryFolder(t)}/tidemark.db`;
  const storage = await openStorage(databaseUrl);
  const commands = openCommands(storage, readConfig({}, { databaseUrl }));
  const { organizationId, storeId: vectorStoreId, key: apiKey } = await createTenant(commands);
  const readerKey = await createRoleKey(commands, "reader", organizationId, vectorStoreId);
  await storage.close();

  const { url } = await startServerProcess(t, { TIDEMARK_DATABASE_URL: databaseUrl });
  const store = { url, organizationId, vectorStoreId };
  const pipeline = new Tidemark({ ...store, apiKey });
  return {
    url,
    environment: {
      TIDEMARK_URL: url,
      TIDEMARK_ORGANIZATION: organizationId,
      TIDEMARK_STORE: vectorStoreId,
      TIDEMARK_API_KEY: apiKey,
      TIDEMARK_READER_KEY: readerKey,
    },
    pipeline,
    reader: new Tidemark({ ...store, apiKey: readerKey }),
    async contents(namespace) {
      const records: [string, unknown][] = [];
      for await (const { id, data } of everyItem((page) => pipeline.listRecords({ namespace, ...page }))) {
        records.push([id, data]);
      }
      return Object.fromEntries(records);
    },
  };
}

/**
 * Runs a command of an example, with the project's Node, until it ends.
 * @param source the file below examples/ that shows the command
 * @param folder the working directory; default: the project's folder
 * @param adapt changes the command as a reader would, for example to insert a path
 */
export function runShown(
  source: string,
  command: string,
  environment: Environment,
  folder: string = ROOT,
  adapt = (line: string) => line,
): Promise<CommandResult> {
  const text = readFileSync(join(ROOT, "examples", source), "utf8");
  assert.ok(text.includes(command), `${source} shows ${command}`);
  return runShell(adapt(command), environment, folder);
}

/** Runs a shell script until it ends, without a proxy, because the script calls only this machine. */
export function runShell(script: string, environment: Environment, folder = ROOT): Promise<CommandResult> {
  const env = cleanEnvironment({
    NO_PROXY: "127.0.0.1",
    no_proxy: "127.0.0.1",
    LANGSMITH_TRACING: "false",
    ...environment,
  });
  env.PATH = [dirname(process.execPath), join(ROOT, "node_modules", ".bin"), env.PATH].join(delimiter);
  return new Promise((resolve) => {
    const options = { cwd: folder, env, timeout: 60_000 };
    execFile("bash", ["--norc", "-euo", "pipefail", "-c", script], options, (error, stdout, stderr) => {
      resolve({ code: Number(error?.code ?? 0), stdout, stderr });
    });
  });
}

/** Copies an example out of the project, as a reader would; the copy uses the project's libraries. */
export async function copyExample(t: TestContext, name: string): Promise<string> {
  const folder = join(await temporaryFolder(t), name);
  await cp(join(ROOT, "examples", name), folder, { recursive: true });
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
  return folder;
}
