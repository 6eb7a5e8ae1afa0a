import { type Command, Option } from "commander";
import { jsonOption } from "./options.ts";

/** Exit codes of the commands that send a file, beside 0 (done) and 1 (an error). */
export const REFUSED = 2;
export const NOT_LEVEL = 3;

export const DEFAULT_URL = "http://127.0.0.1:8787";

export const FORMATS = ["ndjson", "json", "csv"] as const;
export type Format = (typeof FORMATS)[number];

/** Which server and store: what is not given here is taken from the environment, or from a profile. */
export interface ServerOptions {
  url?: string;
  organization?: string;
  store?: string;
  profile?: string;
}

export interface FileOptions extends ServerOptions {
  namespace: string;
  idField: string;
  format?: Format;
  json: boolean;
}

/** The options of the commands that read a file of records and talk to a server. */
export const withFileOptions = (command: Command) =>
  command
    .requiredOption("--namespace <name>", "the namespace of the records")
    .option("--id-field <name>", "the member or column that is a record's id", "id")
    .addOption(new Option("--format <format>", "default: by the file's name").choices(FORMATS))
    .option("--url <url>", `the server (TIDEMARK_URL; ${DEFAULT_URL})`)
    .option("--organization <id>", "the organization, org_… (TIDEMARK_ORGANIZATION)")
    .option("--store <id>", "the vector store, vs_… (TIDEMARK_STORE)")
    .option("--profile <name>", "a profile of the configuration file (TIDEMARK_PROFILE)")
    .addOption(jsonOption());
