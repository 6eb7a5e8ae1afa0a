/**
 * Writes the files that are generated from the code; with --check, only lists the stale ones.
 *
 *   node scripts/generate.ts [--check]
 */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { ERRORS } from "@tidemark/protocol/errors";
import type { Command } from "commander";
import { commandLine } from "../packages/server/src/cli/program.ts";
import type { Commands } from "../packages/server/src/commands.ts";
import { readConfig, SETTINGS } from "../packages/server/src/config.ts";
import { buildApp } from "../packages/server/src/http/app.ts";
import { RUN_TABLE, type RunEvent, type RunReaction } from "../packages/server/src/ledger/run-states.ts";
import { openLog } from "../packages/server/src/log.ts";
import { Connection } from "../packages/server/src/storage/sqlite/connection.ts";
import { migrate } from "../packages/server/src/storage/sqlite/migrate.ts";

const ROOT = new URL("../", import.meta.url);

/** Every generated file and its text. */
const GENERATED: Record<string, () => string | Promise<string>> = {
  "docs/reference/openapi.json": openApiDocument,
  "docs/reference/errors.md": errorReference,
  "docs/reference/settings.md": settingReference,
  "docs/reference/command-line.md": commandLineReference,
  "docs/internals/sync-semantics.md": syncSemantics,
  "packages/server/src/storage/sqlite/schema.sql": sqliteSchema,
};

async function openApiDocument(): Promise<string> {
  const config = readConfig({}, { logLevel: "silent" });
  const notCalled = new Proxy({} as Commands, {
    get: (_, name) => {
      throw new Error(`Generating the document must not call ${String(name)}.`);
    },
  });
  const app = await buildApp(config, notCalled, openLog(config));
  await app.server.ready();
  const document = app.server.swagger();
  await app.close();
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** A Markdown table; `|` in a cell would end it. */
function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function errorReference(): string {
  // A code in use appears in quotes somewhere; its definition is not quoted.
  const sources = globSync("packages/{server,protocol}/src/**/*.ts", { cwd: ROOT }).map((path) =>
    readFileSync(new URL(path, ROOT), "utf8"),
  );
  const rows: string[][] = [];
  const reserved: string[] = [];
  for (const [code, { status, type, message, meaning }] of Object.entries(ERRORS)) {
    if (sources.some((text) => text.includes(`"${code}"`))) {
      rows.push([String(status), `\`${code}\``, `\`${type}\``, `${meaning}<br>“${message}”`]);
    } else reserved.push(`\`${code}\``);
  }
  return `${notice("packages/protocol/src/errors.ts")}
# Errors

Every answer that is not a 2xx has one of these codes, in [one envelope](api.md#errors). Programs decide by \`code\`.
\`message\` is for people, and may be more exact than the default below: a 422 says which field is wrong.

${table(["status", "code", "type", "meaning, and the default message"], rows)}
${reserved.length > 0 ? `\nThe protocol reserves these codes, and this version never answers them: ${reserved.join(", ")}.\n` : ""}`;
}

function settingReference(): string {
  const rows = Object.values(SETTINGS).map(({ variable, default: value, description, expects }) => [
    `\`${variable}\``,
    describeDefault(variable, value),
    expects === "some text" ? description : `${description} Accepts ${expects}.`,
  ]);
  return `${notice("packages/server/src/config.ts")}
# Settings

The server and the command line read these environment variables once, when they start. An empty variable counts as
unset. A wrong value stops the start with a line that says what is expected. \`serve --host\` and \`serve --port\`
override the environment. [The client guide](../guides/client.md#from-the-command-line) has the variables of
\`tidemark sync\`, \`check\` and \`search\`.

${table(["variable", "default", "meaning"], rows)}
`;
}

/** A default for people, with the unit that the variable's name ends in. */
function describeDefault(variable: string, value: string | number | string[]): string {
  if (Array.isArray(value)) return "none";
  if (value === "") return "none";
  if (typeof value === "string") return `\`${value}\``;
  if (/_BYTES(_|$)/.test(variable)) return `\`${value}\` (${value / 1024 / 1024} MiB)`;
  if (variable.endsWith("_MS")) return `\`${value}\` ms (${value / 1000} s)`;
  if (variable.endsWith("_HOURS")) return `\`${value}\` hours`;
  if (variable.endsWith("_DAYS")) return `\`${value}\` days`;
  if (variable.endsWith("_PER_MINUTE")) return `\`${value}\` a minute`;
  return `\`${value}\``;
}

function commandLineReference(): string {
  const sections: string[] = [];
  const describe = (command: Command, name: string) => {
    const help = command.configureHelp({ helpWidth: 100 }).helpInformation();
    sections.push(`## ${name}\n\n\`\`\`text\n${help.trimEnd()}\n\`\`\``);
    for (const child of command.commands) describe(child, `${name} ${child.name()}`);
  };
  describe(commandLine(), "tidemark");
  return `${notice("packages/server/src/cli")}
# Command line

In a checkout, run \`npx tidemark …\`. The commands \`sync\`, \`check\` and \`search\` call a running server with a key; [the
client guide](../guides/client.md#from-the-command-line) says where they find it. All other commands except \`serve\`
open the database of [\`TIDEMARK_DATABASE_URL\`](settings.md) directly, while a server runs or not. They need no key,
because they are for the owner of the machine. A failed command prints one line on standard error and ends with exit
code 1.

${sections.join("\n\n")}
`;
}

const RUN_EVENTS: Record<RunEvent, string> = {
  part: "a part",
  last_batch: "a last batch",
  applied_last_batch: "the last batch that was applied",
  newer_refresh: "a newer refresh of one of its namespaces",
  abort: "an abort",
  silence: "24 hours without a part (a setting)",
};
const RUN_REACTIONS: Record<RunReaction, string> = {
  begins: "**begins** the run, without any earlier parts",
  staged: "staged; a part that the run has already counts once",
  applied: "staged and flipped: **applied**",
  replayed: "the same answer again",
  ended: "**ended**",
  expired: "**expired**",
  unchanged: "nothing",
  STALE_SYNC: "409 `STALE_SYNC`",
  INCOMPLETE_REFRESH: "409 `INCOMPLETE_REFRESH`",
  RESOURCE_NOT_FOUND: "404 `RESOURCE_NOT_FOUND`",
  impossible: "—",
};

/** The page with its table of runs generated anew. */
function syncSemantics(): string {
  const events = Object.keys(RUN_EVENTS) as RunEvent[];
  const rows = Object.entries(RUN_TABLE).map(([state, reactions]) => [
    state,
    ...events.map((event) => RUN_REACTIONS[reactions[event]]),
  ]);
  const runs = table(["run", ...Object.values(RUN_EVENTS)], rows);
  const page = readFileSync(new URL("docs/internals/sync-semantics.md", ROOT), "utf8");
  const [start, end] = ["<!-- From ledger/run-states.ts by `npm run generate`. -->", "<!-- End -->"];
  const [before, rest] = page.split(start);
  const [, after] = rest!.split(end);
  return `${before}${start}\n${runs}\n${end}${after}`;
}

async function sqliteSchema(): Promise<string> {
  const connection = new Connection(":memory:", { durable: false });
  await migrate(connection);
  const statements = connection.database
    .prepare(
      `SELECT s.sql FROM sqlite_schema s JOIN sqlite_schema t ON t.type = 'table' AND t.name = s.tbl_name
       WHERE s.sql IS NOT NULL ORDER BY t.rowid, s.type DESC, s.name`,
    )
    .all();
  await connection.close();
  const source = "the migrations next to this file, by `npm run generate`. It is for reading only.";
  return `-- The schema that results from ${source}\n\n${statements.map(({ sql }) => `${sql};\n`).join("\n")}`;
}

const notice = (source: string) =>
  `<!-- Generated from ${source} by \`npm run generate\`. Do not edit. -->\n`;

const stale: string[] = [];
for (const [path, make] of Object.entries(GENERATED)) {
  const file = new URL(path, ROOT);
  const text = await make();
  if (text === readOrEmpty(file)) continue;
  if (process.argv.includes("--check")) stale.push(path);
  else {
    writeFileSync(file, text);
    console.log(`wrote ${path}`);
  }
}
if (stale.length > 0) {
  console.error(`Stale: ${stale.join(", ")}. Run npm run generate and commit the result.`);
  process.exitCode = 1;
}

function readOrEmpty(file: URL): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
