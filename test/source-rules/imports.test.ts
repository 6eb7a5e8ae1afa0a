import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

/**
 * What each part may import in addition to its own folder; `type` before a name allows only its types. A part is a
 * package, or a folder or file of the server.
 *
 * Everything builds on protocol. The client also runs in browsers, and the connectors build on it. In the server, wire,
 * storage, access and ledger know neither HTTP nor threads, and browse reads what they store. commands.ts joins them in
 * one table; http, threads and cli know only that table; service.ts composes the server.
 */
const MAY_IMPORT: Record<string, string[]> = {
  protocol: ["typebox"],
  client: ["protocol"],
  "airbyte-destination": ["protocol", "client", "node:crypto", "node:fs", "node:fs/promises", "node:util"],
  "singer-target": [
    ...["protocol", "client", "ajv", "ajv-formats"],
    ...["node:crypto", "node:fs", "node:stream", "node:util"],
  ],

  objects: ["protocol", "type storage/port.ts", "ulid"],
  wire: ["protocol", "typebox", "node:buffer", "node:zlib"],
  storage: [
    "protocol",
    "type lexical/segment.ts",
    "type text/settings.ts",
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
    "storage/rules.ts",
    "objects",
    "node:crypto",
    "node:zlib",
  ],
  ledger: [
    ...["protocol", "wire", "type storage/port.ts", "storage/rules.ts", "storage/visibility.ts"],
    ...["typebox", "node:crypto"],
  ],
  browse: [
    ...[
      "protocol",
      "objects",
      "access",
      "storage/build-settings.ts",
      "type storage/port.ts",
      "storage/visibility.ts",
    ],
    ...["storage/rules.ts", "node:crypto"],
  ],
  text: ["protocol", "@orama/stemmers", "htmlparser2"],
  lexical: [],
  embedding: ["config.ts"],
  indexing: [
    ...["protocol", "text", "lexical", "embedding", "type storage/port.ts", "type storage/index-port.ts"],
    ...["type storage/build-settings.ts", "storage/record-key.ts", "storage/visibility.ts"],
    ...["access/vector-stores.ts", "storage/visibility.ts", "storage/rules.ts"],
    ...["type pino", "node:crypto", "node:timers/promises"],
  ],
  search: [
    ...["protocol", "text", "lexical", "embedding", "indexing/build-settings.ts", "wire/field-path.ts"],
    ...["access/vector-stores.ts", "type storage/port.ts", "type storage/index-port.ts"],
    ...["storage/record-key.ts", "node:timers/promises"],
  ],
  "pipeline.ts": [
    ...["protocol", "wire", "type access/api-keys.ts", "ledger"],
    ...["type storage/port.ts", "type config.ts", "node:crypto"],
  ],
  "commands.ts": [
    ...["protocol", "pipeline.ts", "access", "browse", "embedding", "indexing", "search", "maintenance.ts"],
    ...["ledger/abort-refresh.ts", "type storage/port.ts", "type config.ts"],
  ],

  transfer: [
    ...["protocol", "type storage/port.ts", "storage/store-tables.ts", "storage/rules.ts"],
    ...["ulid", "node:crypto", "node:util"],
  ],
  doctor: [...["type config.ts", "storage", "transfer/unfinished.ts"], ...["embedding/endpoint-embedder.ts"]],

  threads: [
    ...["protocol", "commands.ts", "type wire/read-body.ts", "type config.ts"],
    ...["storage/open.ts", "storage/sqlite/checkpoints.ts", "storage/sqlite/path.ts"],
    ...["node:events", "node:worker_threads"],
  ],
  http: [
    ...[
      "protocol",
      "wire",
      "objects",
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
      "type objects",
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
    // Some commands move, copy or check the whole database.
    ...["transfer", "doctor", "type storage", "storage/sqlite/backup.ts", "storage/postgres/url.ts"],
    "node:fs/promises",
    // Some commands send a file to a server, as any client does.
    ...["client", "wire/read-json.ts", "csv-parse", "cli-progress"],
    ...["node:fs", "node:os", "node:path", "node:stream"],
    // The query's words are marked in the results.
    ...["text", "search/snippet.ts", "node:util"],
  ],

  "config.ts": ["protocol"],
  "log.ts": ["type config.ts", "pino"],
  "version.ts": ["node:fs"],
  "maintenance.ts": ["protocol", "type storage/port.ts", "type config.ts", "type pino"],
  "service.ts": [
    ...[
      "type commands.ts",
      "type config.ts",
      "maintenance.ts",
      "indexing/indexer.ts",
      "http/app.ts",
      "threads/threaded-commands.ts",
    ],
    ...["type pino", "type node:net"],
  ],
  "main.ts": ["cli/program.ts"],
};

/** Where the environment is read: the server's settings, the options that override them, and a client's settings. */
const READ_ENVIRONMENT = ["config.ts", "cli/commands/serve.ts", "cli/client-settings.ts"];

/** The only file that re-exports names of other files. */
const PUBLIC = "client/public.ts";

interface Source {
  /** The path below the server's `src/`; in other packages, the package's name and the path below its `src/`. */
  path: string;
  text: string;
}

const PACKAGES = fileURLToPath(new URL("../../packages/", import.meta.url));
const sources: Source[] = globSync("*/src/**/*.ts", { cwd: PACKAGES }).map((file) => ({
  path: file
    .replaceAll("\\", "/")
    .replace("/src/", "/")
    .replace(/^server\//, ""),
  text: readFileSync(PACKAGES + file, "utf8"),
}));

/** The part that a file belongs to: a package, or a folder or file of the server. */
const partOf = (path: string) => path.split("/")[0]!;

interface Import {
  /** A {@link Source.path}, or the name of a module. */
  target: string;
  typeOnly: boolean;
}

/** Everything that a file imports. */
function importsOf({ path, text }: Source): Import[] {
  const statements = text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^;"']*?\sfrom\s+)?"([^"]+)"/gm);
  const calls = text.matchAll(/\bimport\("([^"]+)"\)/g);
  return [
    ...[...statements].map(([, type, target]) => ({ target: target!, typeOnly: type !== undefined })),
    ...[...calls].map(([, target]) => ({ target: target!, typeOnly: false })),
  ].map(({ target, typeOnly }) => ({ target: nameOf(target, path), typeOnly }));
}

function nameOf(target: string, importer: string): string {
  if (target === "@tidemark/client") return PUBLIC;
  if (target.startsWith("@tidemark/")) return `${target.slice("@tidemark/".length)}.ts`;
  if (target.startsWith(".")) return new URL(target, `file:///${importer}`).pathname.slice(1);
  if (target.startsWith("node:")) return target;
  if (target.startsWith("@")) return target.split("/").slice(0, 2).join("/");
  return partOf(target);
}

/** The shortest import cycle through a file, imports of types included. */
function cycleThrough(start: string, graph: Map<string, string[]>): string[] | undefined {
  const paths = [[start]];
  const visited = new Set<string>();
  for (const path of paths) {
    for (const next of graph.get(path.at(-1)!) ?? []) {
      if (next === start) return [...path, start];
      if (visited.has(next)) continue;
      visited.add(next);
      paths.push([...path, next]);
    }
  }
  return undefined;
}

function mayImport(importer: string, { target, typeOnly }: Import): boolean {
  const part = partOf(importer);
  if (part !== importer && partOf(target) === part) return true;
  return MAY_IMPORT[part]!.some((rule) => {
    const name = rule.replace(/^type /, "");
    return (name === target || name === partOf(target)) && (typeOnly || name === rule);
  });
}

test("every part is in the table of allowed imports", () => {
  const parts = new Set(sources.map(({ path }) => partOf(path)));
  assert.deepEqual([...parts].sort(), Object.keys(MAY_IMPORT).sort());
});

test("no part has a forbidden import", () => {
  const imports = sources.flatMap((source) =>
    importsOf(source).map((imported) => ({ path: source.path, ...imported })),
  );
  assert.ok(imports.length > 1000, `found only ${imports.length} imports`);
  const forbidden = imports.filter(
    ({ path, ...imported }) => MAY_IMPORT[partOf(path)] && !mayImport(path, imported),
  );
  assert.deepEqual(
    forbidden.map(({ path, target, typeOnly }) => `${path} imports ${typeOnly ? "type " : ""}${target}`),
    [],
  );
});

test("no files import each other in a cycle, not even types", () => {
  const graph = new Map(
    sources.map((source) => [source.path, importsOf(source).map(({ target }) => target)] as const),
  );
  const cycles = sources.flatMap(({ path }) => {
    const cycle = cycleThrough(path, graph);
    // Each cycle is listed once, from its first file.
    return cycle?.every((file) => file >= path) ? cycle.join(" → ") : [];
  });
  assert.deepEqual(cycles, []);
});

test("cycleThrough finds the shortest cycle", () => {
  const graph = new Map([
    ["a", ["b", "x"]],
    ["b", ["c"]],
    ["c", ["d", "a"]],
    ["d", ["a"]],
  ]);
  assert.deepEqual(cycleThrough("a", graph), ["a", "b", "c", "a"]);
  assert.equal(cycleThrough("x", graph), undefined);
});

test("no file re-exports names of another file", () => {
  const reexporting = sources.filter(({ text }) => /^export\s+(type\s+)?[*{][^;]*?\sfrom\s+"/m.test(text));
  assert.deepEqual(
    reexporting.map(({ path }) => path),
    [PUBLIC],
  );
});

test("no file or folder has a vague name", () => {
  const vague = /^(utils?|helpers?|common|shared|misc|types|lib|index)(\.ts)?$/;
  const vaguelyNamed = sources.filter(({ path }) => path.split("/").some((step) => vague.test(step)));
  assert.deepEqual(
    vaguelyNamed.map(({ path }) => path),
    [],
  );
});

test("cli/commands/ has a file for each command, and nothing else", () => {
  const files = sources.filter(({ path }) => path.startsWith("cli/commands/"));
  const program = sources.find(({ path }) => path === "cli/program.ts")!;
  assert.ok(files.length >= 16);
  for (const file of files) {
    assert.deepEqual(
      [...file.text.matchAll(/^export .*?(\w+)\(/gm)].length,
      1,
      `${file.path} exports one function`,
    );
    assert.ok(
      importsOf(program).some(({ target }) => target === file.path),
      `${file.path} is a command of the program`,
    );
  }
});

test("only the listed files read the environment", () => {
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
