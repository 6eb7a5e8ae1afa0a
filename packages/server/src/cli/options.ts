import { isName } from "@tidemark/protocol/keepable-text";
import { LIMITS } from "@tidemark/protocol/limits";
import { type Command, InvalidArgumentError, Option } from "commander";

/** The option `--json`. */
export const jsonOption = () => new Option("--json", "print JSON, for scripts").default(false);

/** Reads an id that a person chose: its prefix, then letters, digits, `-` and `_`. */
export function idParser(prefix: string) {
  const pattern = new RegExp(`^${prefix}_[A-Za-z0-9_-]{1,64}$`);
  return (text: string): string => {
    if (pattern.test(text)) return text;
    throw new InvalidArgumentError(`It must be ${prefix}_ followed by 1 to 64 letters, digits, - or _.`);
  };
}

/** Reads a name: 1 to 255 characters. */
export function parseName(text: string): string {
  if (isName(text, LIMITS.nameCodePoints)) return text;
  throw new InvalidArgumentError(`It must have 1 to ${LIMITS.nameCodePoints} characters.`);
}

export const organizationOption = (command: Command) =>
  command.requiredOption("--organization <id>", "the organization (org_…)");

export const DEFAULT_URL = "http://127.0.0.1:8787";

/** The server and the store; the environment or a profile has what is missing here. */
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
    .option("--profile <name>", "the profile of the configuration file (TIDEMARK_PROFILE)");

export const FORMATS = ["ndjson", "json", "csv"] as const;
export type Format = (typeof FORMATS)[number];

export interface FileOptions extends ServerOptions {
  namespace: string;
  idField: string;
  format?: Format;
  json: boolean;
}

/** The options of the commands that read a file of records and talk to a server. */
export function withFileOptions(command: Command): Command {
  command
    .requiredOption("--namespace <name>", "the namespace of the records")
    .option("--id-field <name>", "the JSON member or CSV column with a record's id", "id")
    .addOption(
      new Option("--format <format>", "the file's format; default: by its extension").choices(FORMATS),
    );
  return withServerOptions(command).addOption(jsonOption());
}
