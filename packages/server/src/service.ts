import type { AddressInfo } from "node:net";
import type { Logger } from "pino";
import type { Commands } from "./commands.ts";
import type { Config } from "./config.ts";
import type { App } from "./http/app.ts";
import { type Indexer, startIndexer } from "./indexing/indexer.ts";
import { startMaintenance } from "./maintenance.ts";
import { startThreads } from "./threads/threaded-commands.ts";

/** A running server. */
export interface Service {
  /** The base URL, such as `http://127.0.0.1:8787`. */
  url: string;
  commands: Commands;
  /** Stops accepting requests, waits for running ones up to the shutdown timeout, and closes the database. */
  stop(): Promise<void>;
}

/** Starts the threads, the HTTP server, maintenance and the indexer. */
export async function startService(config: Config, log: Logger): Promise<Service> {
  const threads = await startThreads(config, (error) => log.error({ err: error }, "thread died"));
  let indexer: Indexer | undefined;
  const commands: Commands = {
    ...threads.commands,
    async sync(...args) {
      const answer = await threads.commands.sync(...args);
      indexer?.wake();
      return answer;
    },
  };
  // The HTTP modules load slowly, so the threads open the database meanwhile.
  const { buildApp } = await import("./http/app.ts");
  let app: App | undefined;
  try {
    app = await buildApp(config, commands, log);
    for (const warning of await threads.ready) log.warn(warning);
    await app.server.listen({ host: config.host, port: config.port });
    await app.metricsServer?.listen({ host: config.host, port: config.metricsPort });
  } catch (error) {
    await app?.close();
    await threads.close();
    throw error;
  }
  const stopMaintenance = startMaintenance(commands.runMaintenance, log);
  if (config.indexing === "on") indexer = startIndexer(commands, log);
  const url = urlOf(app.server.server.address() as AddressInfo);
  log.info({ url, database: config.databaseUrl.replace(/:[^:@/]+@/, ":…@") }, "ready");

  return {
    url,
    commands,
    async stop() {
      log.info("stopping");
      app.drain();
      stopMaintenance();
      const indexed = indexer?.stop();
      const finished = app.close();
      const late = setTimeout(() => app.server.server.closeAllConnections(), config.shutdownTimeoutMs);
      await finished;
      clearTimeout(late);
      await indexed;
      await threads.close();
      log.info("stopped");
    },
  };
}

function urlOf({ address, port, family }: AddressInfo): string {
  return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
}
