import { once } from "node:events";
import { Command } from "commander";
import { type Config, readConfig } from "../../config.ts";
import { openLog } from "../../log.ts";
import { startService } from "../../service.ts";
import { bootstrap } from "../bootstrap.ts";
import { fail } from "../output.ts";

interface ServeOptions {
  host?: string;
  port?: string;
  bootstrap: boolean;
}

/** `tidemark serve` */
export function serveCommand(): Command {
  return new Command("serve")
    .description("run the server; SIGTERM stops it gracefully")
    .option("--host <address>", "address to listen on (TIDEMARK_HOST)")
    .option("--port <number>", "port to listen on (TIDEMARK_PORT)")
    .option(
      "--bootstrap",
      "if the database is empty, create an organization, a store, a connector and a reader's key",
      false,
    )
    .action(async (options: ServeOptions) => {
      try {
        await serve(options);
      } catch (error) {
        fail(error);
        process.exit();
      }
    });
}

async function serve({ host, port, bootstrap: isBootstrap }: ServeOptions): Promise<void> {
  const config = readServeConfig(host, port);
  // Lines of requests would hide the keys and the next steps from a person who tries Tidemark.
  const quiet = isBootstrap && !process.env.TIDEMARK_LOG_LEVEL;
  const log = openLog(quiet ? { logLevel: "warn" } : config);
  const service = await startService(config, log);
  if (isBootstrap) console.log(await bootstrap(service));
  const signals = ["SIGTERM", "SIGINT"].map((signal) => once(process, signal));
  await Promise.race(signals);
  await service.stop();
  process.exit(0);
}

function readServeConfig(host: string | undefined, port: string | undefined): Config {
  const environment = { ...process.env };
  if (host !== undefined) environment.TIDEMARK_HOST = host;
  if (port !== undefined) environment.TIDEMARK_PORT = port;
  return readConfig(environment);
}
