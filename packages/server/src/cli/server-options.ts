import type { Command } from "commander";

/** An exit code of commands that talk to a server, beside 0 (done) and 1 (an error): it is not level with something. */
export const NOT_LEVEL = 3;

export const DEFAULT_URL = "http://127.0.0.1:8787";

/** Which server and store: what is not given here is taken from the environment, or from a profile. */
export interface ServerOptions {
  url?: string;
  organization?: string;
  store?: string;
  profile?: string;
}

/** The options of the commands that talk to a server. */
export const withServerOptions = (command: Command) =>
  command
    .option("--url <url>", `the server (TIDEMARK_URL; ${DEFAULT_URL})`)
    .option("--organization <id>", "the organization, org_… (TIDEMARK_ORGANIZATION)")
    .option("--store <id>", "the vector store, vs_… (TIDEMARK_STORE)")
    .option("--profile <name>", "a profile of the configuration file (TIDEMARK_PROFILE)");
