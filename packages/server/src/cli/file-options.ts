import { type Command, Option } from "commander";
import { jsonOption } from "./options.ts";
import { type ServerOptions, withServerOptions } from "./server-options.ts";

/** An exit code of `tidemark sync`: the removal limit refused it. */
export const REFUSED = 2;

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
    .option("--id-field <name>", "the member or column that is a record's id", "id")
    .addOption(new Option("--format <format>", "default: by the file's name").choices(FORMATS));
  return withServerOptions(command).addOption(jsonOption());
}
