import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

/**
 * What each part may import, beside what lies in its own folder. `type` before a name: its types only.
 *
 * The picture behind it: protocol is below everything; wire, storage, access and ledger know no HTTP and no threads;
 * browse reads what they keep; commands.ts joins them in one table; http, threads and cli know only commands; service.ts puts all of
 * it together.
 */
const MAY_IMPORT: Record<string, string[]> = {
  protocol: ["typebox"],

  wire: ["protocol", "typebox", "node:buffer", "node:zlib"],
  storage: [
    "protocol",
    "type lexical/segment.ts",
    "pg",
    "node:fs",
    "node:path",
    "node:url",
    "node:sqlite",
    "node:timers/promises",
  ],
  access: [
    "protocol",
    "text/settings.ts",
    "type storage/port.ts",
    "storage/served-stores.ts",
    "ulid",
    "node:crypto",
    "node:zlib",
  ],
  ledger: [
    ...["protocol", "wire", "type storage/port.ts", "storage/versions.ts", "storage/visibility.ts"],
    ...["typebox", "node:crypto"],
  ],
  browse: [
    ...["protocol", "access", "indexing/build-settings.ts", "type storage/port.ts", "storage/visibility.ts"],
    ...["storage/versions.ts", "storage/given-up.ts", "storage/served-stores.ts", "node:crypto"],
  ],
  text: ["protocol", "@orama/stemmers"],
  lexical: [],
  embedding: ["config.ts", "openai"],
  indexing: [
    ...["protocol", "text", "lexical", "embedding", "type storage/port.ts", "type storage/index-port.ts"],
    ...["access/vector-stores.ts", "storage/visibility.ts", "storage/given-up.ts"],
    ...["type pino", "node:crypto", "node:timers/promises"],
  ],
  search: [
    ...["protocol", "text", "lexical", "embedding", "indexing/build-settings.ts", "wire/field-path.ts"],
    ...["access/vector-stores.ts", "type storage/port.ts", "type storage/index-port.ts"],
    "node:timers/promises",
  ],
  "pipeline.ts": [
    ...["protocol", "wire", "type access/api-keys.ts", "ledger"],
    ...["type storage/port.ts", "type config.ts", "node:crypto"],
  ],
  "commands.ts": [
    ...["protocol", "pipeline.ts", "access", "browse", "embedding", "indexing", "search", "housekeeping.ts"],
    ...["type storage/port.ts", "type config.ts"],
  ],

  transfer: [
    ...["type storage/port.ts", "storage/store-tables.ts", "storage/served-stores.ts"],
    ...["ulid", "node:crypto", "node:util"],
  ],
  doctor: [
    ...["type config.ts", "storage", "transfer/unfinished.ts"],
    ...["embedding/openai-embedder.ts", "indexing/build-settings.ts"],
  ],

  threads: [
    ...["protocol", "commands.ts", "type wire/read-body.ts", "type config.ts"],
    ...["storage/open.ts", "storage/sqlite/checkpoints.ts", "storage/sqlite/path.ts"],
    ...["node:events", "node:worker_threads"],
  ],
  http: [
    ...[
      "protocol",
      "wire",
      "access",
      "type commands.ts",
      "type pipeline.ts",
      "type storage/port.ts",
      "type config.ts",
      "version.ts",
    ],
    ...["fastify", "@fastify/swagger", "@fastify/swagger-ui", "typebox", "prom-client", "type pino"],
    ...["node:http", "type node:net", "node:crypto", "type node:stream"],
  ],
  cli: [
    ...[
      "protocol",
      "type access",
      "type browse",
      "commands.ts",
      "storage/open.ts",
      "config.ts",
      "log.ts",
      "service.ts",
      "version.ts",
    ],
    ...["commander", "node:events", "node:timers/promises"],
    // The commands that move, copy and examine the database as a whole.
    ...["transfer", "doctor", "type storage", "storage/sqlite/backup.ts", "storage/postgres/url.ts"],
    "node:fs/promises",
    // The commands that send a file to a server, as any client does.
    ...["@tidemark/client", "wire/read-json.ts", "csv-parse", "cli-progress"],
    ...["node:fs", "node:os", "node:path", "node:stream"],
    // The words of a query in what it found.
    ...["text", "search/passage.ts", "node:util"],
  ],

  "config.ts": ["protocol"],
  "log.ts": ["type config.ts", "pino"],
  "version.ts": ["node:fs"],
  "housekeeping.ts": ["protocol", "type storage/port.ts", "type config.ts", "type pino"],
  "service.ts": [
    ...[
      "type commands.ts",
      "type config.ts",
      "housekeeping.ts",
      "indexing/indexer.ts",
      "http/app.ts",
      "threads/threaded-commands.ts",
    ],
    ...["type pino", "type node:net"],
  ],
  "main.ts": ["cli/program.ts"],
};

/**
 * The command line lays its options over the environment, and client-settings.ts has those of clients; every setting of the
 * server is read in config.ts.
 */
const READ_ENVIRONMENT = ["config.ts", "cli/serve.ts", "cli/client-settings.ts"];

interface Source {
  /** Below `src/`, or `protocol/…`. */
  path: string;
  text: string;
}

const SERVER = fileURLToPath(new URL("../src/", import.meta.url));
const PROTOCOL = fileURLToPath(new URL("../../protocol/src/", import.meta.url));
const sources: Source[] = [
  ...filesOf(SERVER).map((path) => ({ path, text: readFileSync(SERVER + path, "utf8") })),
  ...filesOf(PROTOCOL).map((path) => ({
    path: `protocol/${path}`,
    text: readFileSync(PROTOCOL + path, "utf8"),
  })),
];

function filesOf(folder: string): string[] {
  return globSync("**/*.ts", { cwd: folder }).map((path) => path.replaceAll("\\", "/"));
}

/** The part that a file belongs to: the folder below `src/`, or a file that lies there itself. */
const partOf = (path: string) => path.split("/")[0]!;

/** Everything that a file imports, as the table names it. */
function importsOf({ path, text }: Source): { target: string; typeOnly: boolean }[] {
  const statements = text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^;"']*?\sfrom\s+)?"([^"]+)"/gm);
  const calls = text.matchAll(/\bimport\("([^"]+)"\)/g);
  const found = [
    ...[...statements].map(([, type, target]) => ({ target: target!, typeOnly: type !== undefined })),
    ...[...calls].map(([, target]) => ({ target: target!, typeOnly: false })),
  ];
  return found.map(({ target, typeOnly }) => ({ target: nameOf(target, path), typeOnly }));
}

function nameOf(target: string, importer: string): string {
  if (target.startsWith("@tidemark/protocol/")) return "protocol";
  if (target.startsWith(".")) return new URL(target, `file:///${importer}`).pathname.slice(1);
  if (target.startsWith("node:")) return target;
  if (target.startsWith("@")) return target.split("/").slice(0, 2).join("/");
  return partOf(target);
}

function mayImport(importer: string, { target, typeOnly }: { target: string; typeOnly: boolean }): boolean {
  const part = partOf(importer);
  if (part !== importer && partOf(target) === part) return true;
  return MAY_IMPORT[part]!.some((rule) => {
    const name = rule.replace(/^type /, "");
    return (name === target || name === partOf(target)) && (typeOnly || name === rule);
  });
}

test("every part is in the table of what it may import", () => {
  const parts = new Set(sources.map(({ path }) => partOf(path)));
  assert.deepEqual([...parts].sort(), Object.keys(MAY_IMPORT).sort());
});

test("no part imports what it may not", () => {
  const imports = sources.flatMap((source) =>
    importsOf(source).map((found) => ({ path: source.path, ...found })),
  );
  assert.ok(imports.length > 200, `only ${imports.length} imports were found`);
  const forbidden = imports.filter(
    ({ path, ...found }) => MAY_IMPORT[partOf(path)] && !mayImport(path, found),
  );
  assert.deepEqual(
    forbidden.map(({ path, target, typeOnly }) => `${path} imports ${typeOnly ? "type " : ""}${target}`),
    [],
  );
});

test("nothing is exported a second time from another file", () => {
  const again = sources.filter(({ text }) => /^export\s+(type\s+)?[*{][^;]*?\sfrom\s+"/m.test(text));
  assert.deepEqual(
    again.map(({ path }) => path),
    [],
  );
});

test("no file or folder is named after nothing", () => {
  const vague = /^(utils?|helpers?|common|shared|misc|types|lib|index)(\.ts)?$/;
  const found = sources.filter(({ path }) => path.split("/").some((step) => vague.test(step)));
  assert.deepEqual(
    found.map(({ path }) => path),
    [],
  );
});

test("the environment is read in one place", () => {
  const readers = sources.filter(({ text }) => text.includes("process.env"));
  assert.deepEqual(readers.map(({ path }) => path).sort(), READ_ENVIRONMENT.toSorted());
});

test("only the command line writes to the terminal", () => {
  const writers = sources.filter(({ text }) => /\bconsole\.|process\.std(out|err)\b/.test(text));
  assert.deepEqual(
    writers.map(({ path }) => path).filter((path) => partOf(path) !== "cli"),
    [],
  );
  assert.ok(writers.some(({ path }) => basename(path) === "output.ts"));
});
