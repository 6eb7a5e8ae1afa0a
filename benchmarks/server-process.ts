import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent, type IncomingMessage, request } from "node:http";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { openCommands } from "../packages/server/src/commands.ts";
import { readConfig } from "../packages/server/src/config.ts";
import { openStorage } from "../packages/server/src/storage/open.ts";
import type { BenchmarkRecord } from "./records.ts";

const PROGRAM = new URL("../packages/server/bin/tidemark.js", import.meta.url).pathname;

interface TimedAnswer {
  ms: number;
  answer: Record<string, unknown>;
}

/** A real server in its own process. */
export class ServerProcess {
  readonly databaseUrl: string;
  url = "";
  /** Milliseconds from the start of the process until the server is ready. */
  startMs = 0;
  #agent = new Agent({ keepAlive: true });
  #child: ChildProcess | undefined;
  #tenant = { organizationId: "", storeId: "", key: "", readerKey: "" };

  constructor(databaseUrl: string) {
    this.databaseUrl = databaseUrl;
  }

  /** @param settings environment variables in addition to those of every benchmark */
  async start(settings: Record<string, string> = {}): Promise<void> {
    const started = performance.now();
    const child = spawn(process.execPath, [PROGRAM, "serve"], {
      env: {
        ...process.env,
        TIDEMARK_DATABASE_URL: this.databaseUrl,
        TIDEMARK_PORT: "0",
        TIDEMARK_RATE_LIMIT_PER_MINUTE: "1000000",
        ...settings,
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child = child;
    const lines = createInterface({ input: child.stdout });
    const ready = Promise.withResolvers<string>();
    lines.on("line", (line) => {
      const entry = JSON.parse(line) as { msg: string; url: string };
      if (entry.msg === "ready") ready.resolve(entry.url);
    });
    child.on("exit", (code) => ready.reject(new Error(`The server ended with the exit code ${code}.`)));
    this.url = await ready.promise;
    this.startMs = performance.now() - started;
  }

  /** @param settings of the store */
  async createTenant(settings: Record<string, unknown> = {}): Promise<void> {
    const config = readConfig({}, { databaseUrl: this.databaseUrl });
    const storage = await openStorage(config.databaseUrl);
    const commands = openCommands(storage, config);
    const now = Date.now();
    const organization = await commands.createOrganization({ name: "Benchmark" }, now);
    const store = await commands.createVectorStore(organization.id, { name: "Benchmark", settings }, now);
    const connector = { name: "Benchmark", storeId: store.id };
    const { api_key } = await commands.createConnector(organization.id, connector, now);
    const reader = { role: "reader" as const, organizationId: organization.id, storeId: store.id };
    const { api_key: readerKey } = await commands.createOwnerKey(reader, now);
    this.#tenant = { organizationId: organization.id, storeId: store.id, key: api_key, readerKey };
    await storage.close();
  }

  /** The body of a sync request. */
  syncBody(
    namespace: string,
    records: BenchmarkRecord[],
    { timestamp = "2025-11-11T10:30:00Z", ...fields }: Record<string, unknown> = {},
  ): Buffer {
    return Buffer.from(
      JSON.stringify({
        organization_id: this.#tenant.organizationId,
        vector_store_id: this.#tenant.storeId,
        sync_mode: "incremental",
        sync_timestamp: timestamp,
        operations: records.map(({ id, data }) => ({
          action: "upsert",
          id,
          namespace,
          data,
          source_system: "benchmark",
        })),
        ...fields,
      }),
    );
  }

  checkBody(namespace: string, ids: string[]): Buffer {
    return Buffer.from(
      JSON.stringify({
        organization_id: this.#tenant.organizationId,
        vector_store_id: this.#tenant.storeId,
        namespace,
        ids,
      }),
    );
  }

  /** Sends a pipeline request; returns the answer and the milliseconds until it was read. */
  post(path: "sync" | "check-exists", body: Buffer): Promise<TimedAnswer> {
    return this.#send("POST", `/v1/pipeline/${path}`, this.#tenant.key, body);
  }

  /** Searches; returns the answer and the milliseconds until it was read. */
  search(request: Record<string, unknown>): Promise<TimedAnswer> {
    const body = Buffer.from(JSON.stringify(request));
    return this.#send("POST", `${this.#storePath()}/search`, this.#tenant.readerKey, body);
  }

  /** Resolves when the index is up to date. */
  async untilIndexed(): Promise<void> {
    while ((await this.pending()) > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  }

  /** How many queue entries wait for the indexer. */
  async pending(): Promise<number> {
    const { answer } = await this.#send("GET", `${this.#storePath()}/namespaces`, this.#tenant.readerKey);
    const namespaces = answer.data as { indexing: { pending: number } }[];
    return namespaces.reduce((sum, { indexing }) => sum + indexing.pending, 0);
  }

  #storePath(): string {
    return `/v1/organizations/${this.#tenant.organizationId}/vector-stores/${this.#tenant.storeId}`;
  }

  async #send(
    method: string,
    path: string,
    key: string,
    body: Buffer = Buffer.alloc(0),
  ): Promise<TimedAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const started = performance.now();
    // The plainest client, so that it adds little to the measured time.
    const sent = request(this.url + path, {
      method,
      agent: this.#agent,
      headers: {
        ...(body.length > 0 ? { "content-type": "application/json", "content-length": body.length } : {}),
        "x-api-key": key,
      },
    });
    sent.on("response", resolve).on("error", reject).end(body);
    const response = await promise;
    const answer = JSON.parse(await text(response)) as Record<string, unknown>;
    const ms = performance.now() - started;
    if (response.statusCode !== 200)
      throw new Error(`${path}: ${response.statusCode} ${JSON.stringify(answer)}`);
    return { ms, answer };
  }

  /** Resident memory of the server now, in MB (Linux). */
  residentMb(): number {
    const status = readFileSync(`/proc/${this.#child!.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024;
  }

  /** Stops the process; the database stays. */
  async end(): Promise<void> {
    const child = this.#child!;
    child.removeAllListeners("exit");
    child.kill("SIGTERM");
    await once(child, "exit");
    this.#agent.destroy();
  }
}
