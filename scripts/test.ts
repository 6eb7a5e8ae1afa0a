/**
 * Runs every check and every test, or only the named files, and counts them: `npm test` and CI run this.
 *
 *   node scripts/test.ts [--long] [FILE …]
 */
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { finished } from "node:stream/promises";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { startPostgres } from "../packages/server/test/postgres-server.ts";

const args = process.argv.slice(2);
if (args.includes("--long")) process.env.TIDEMARK_TEST_LONG = "1";
// Hundreds of processes load the same sources, so they share a compile cache.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL("../node_modules/.cache/node", import.meta.url));
const named = args.filter((arg) => !arg.startsWith("--"));
const files = named.length > 0 ? named : globSync("{packages/*/test,test}/**/*.test.ts").sort();

/** Static checks, each counted as a test. */
const CHECKS: [name: string, command: string, args: string[]][] = [
  ["types", "tsc", ["--noEmit"]],
  ["lint and format", "biome", ["check"]],
  ["generated files are current", process.execPath, ["scripts/generate.ts", "--check"]],
];

let passed = 0;
let failed = 0;

if (named.length === 0) {
  for (const [name, command, commandArgs] of CHECKS) {
    const ok = await succeeds(command, commandArgs);
    if (ok) passed++;
    else failed++;
    console.log(`${ok ? "✔" : "✖"} ${name}`);
  }
}

// All test files share one PostgreSQL.
const postgres = process.env.TEST_POSTGRES_URL ? undefined : await startPostgres();
if (postgres) process.env.TEST_POSTGRES_URL = postgres.url;

const events = run({ files, concurrency: availableParallelism(), timeout: 30 * 60_000 });
events.on("test:pass", ({ details, skip, todo }) => {
  if (details.type !== "suite" && skip === undefined && todo === undefined) passed++;
});
events.on("test:fail", ({ details }) => {
  if (details.type !== "suite") failed++;
});
const report = events.compose(new spec());
report.pipe(process.stdout, { end: false });
await finished(report);
await postgres?.remove();

console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

async function succeeds(command: string, commandArgs: string[]): Promise<boolean> {
  const child = spawn(command, commandArgs, { stdio: ["ignore", "inherit", "inherit"] });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  child.on("error", () => resolve(false));
  child.on("exit", (code) => resolve(code === 0));
  return promise;
}
