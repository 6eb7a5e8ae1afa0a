/**
 * Shows the main job on real input, in seconds. It starts its own server in a temporary folder, and syncs the README
 * files below node_modules into a vector store. It prints what happened, and ends with 1 if anything is wrong.
 *
 *   npm run demo
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestOf } from "@tidemark/client";
import type { SyncChanges } from "@tidemark/protocol/sync";
import { type Package, readPackages } from "./packages.ts";
import { printSearches } from "./searches.ts";
import { type DemoServer, startServer } from "./server.ts";

const NAMESPACE = "packages";
/** A batch ends at the limit that it reaches first. */
const BATCH_OPERATIONS = 5000;
const BATCH_BYTES = 8 * 1024 * 1024;

type Operation = { action: "upsert" | "delete"; id: string; namespace: string; data?: Package["data"] };

const folder = mkdtempSync(join(tmpdir(), "tidemark-demo-"));
let server: DemoServer | undefined;
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => void cleanUp().then(() => process.exit(130)));
}
try {
  console.log(
    "Tidemark demo: the READMEs of this checkout's packages, kept in sync with a vector store, and searched.\n",
  );
  await main();
  console.log("\nAll as expected. `npm start` gives you a server for records of your own.");
} catch (error) {
  console.error(`\n✖ ${(error as Error).message}`);
  process.exitCode = 1;
} finally {
  await cleanUp();
}

async function main(): Promise<void> {
  let started = performance.now();
  server = await startServer(folder);
  report("server", `ready on ${server.url}, database in a temporary folder`, started);

  started = performance.now();
  const tenant = await server.setUp();
  report(
    "set-up",
    `${tenant.organization_id}, ${tenant.vector_store_id}, a connector and a reader, by command line`,
    started,
  );

  started = performance.now();
  const packages = readPackages(new URL("../node_modules/", import.meta.url));
  const kilobytes = packages.reduce((sum, { data }) => sum + data.text.length, 0) / 1024;
  report("source", `${packages.length} README.md files, ${Math.round(kilobytes)} KB of text`, started);
  expect(packages.length >= 10, "The demo found fewer than ten READMEs: run npm ci first.");
  console.log();

  const ids = packages.map(({ id }) => id);
  const checkExists = async () => {
    const body = await post("check-exists", { ...tenant, namespace: NAMESPACE, ids });
    expect(body.total_checked === ids.length, "check-exists answers for every id.");
    return { existing: new Set<string>(body.existing_ids), text: describeSplit(body) };
  };

  started = performance.now();
  const before = await checkExists();
  report("check-exists", before.text, started);
  expect(before.existing.size === 0, "A new store has no records.");

  started = performance.now();
  const firstRun = new Date().toISOString();
  const first = await sync(firstRun, packages.map(upsert));
  report("first sync", describe(first), started);
  expectChanges(first, { created: packages.length });

  started = performance.now();
  const repeated = await sync(firstRun, packages.map(upsert));
  report("repeated sync", `${describe(repeated)}: nothing was rewritten`, started);
  expectChanges(repeated, { unchanged: packages.length });

  // Five READMEs changed, three packages are gone, and one delete names a package that never existed.
  started = performance.now();
  const edited = packages.slice(0, 5).map((item) => ({
    ...item,
    data: { ...item.data, text: `${item.data.text}\n\nEdited by the demo.` },
  }));
  const gone = ids.slice(-3);
  const deletes = [...gone, "no-such-package"].map(remove);
  const changed = await sync(new Date().toISOString(), [...edited.map(upsert), ...deletes]);
  report("changes, deletes", describe(changed), started);
  expectChanges(changed, { updated: edited.length, removed: gone.length, absent: 1 });

  // A full refresh in parts: it clears the packages that it does not name, and creates the ones that came back.
  const rest = packages.slice(5);
  const half = Math.ceil(rest.length / 2);
  const parts = [rest.slice(0, half), rest.slice(half)].flatMap((part) => inBatches(part.map(upsert)));
  const run = { ...tenant, sync_mode: "full_refresh", sync_timestamp: new Date().toISOString() };
  for (const [index, operations] of parts.entries()) {
    started = performance.now();
    const { status, refresh } = await post("sync", { ...run, last_batch: false, operations });
    report(`refresh, part ${index + 1}`, `${status}: ${refresh.operations} operations so far`, started);
    expect(status === "staged" && refresh.batches === index + 1, "The part is staged.");
  }

  started = performance.now();
  const during = await checkExists();
  report("check-exists", `${during.text}: as before`, started);
  expect(
    during.existing.size === packages.length - gone.length,
    "Nobody sees a refresh that is not complete.",
  );

  started = performance.now();
  const last = { ...run, operations: [], expected_operations: rest.length, removal_limit: edited.length };
  const { changes: refreshed, digests, sync_id } = await post("sync", last);
  report("last batch", describe(refreshed), started);
  expectChanges(refreshed, {
    unchanged: rest.length - gone.length,
    created: gone.length,
    cleared: edited.length,
  });

  started = performance.now();
  const after = await checkExists();
  report("check-exists", after.text, started);
  expect(
    rest.every(({ id }) => after.existing.has(id)) && after.existing.size === rest.length,
    "The store has exactly what the last refresh named.",
  );

  started = performance.now();
  const digest = await digestOf(rest);
  report("proof", `source and store have the digest ${digest.slice(0, 16)}…`, started);
  expect(digests[NAMESPACE] === digest, "The store is in sync with the source.");

  await printSearches(server, tenant, sync_id);

  /** Sends operations in batches, and adds up the changes. */
  async function sync(timestamp: string, operations: Operation[]): Promise<SyncChanges> {
    const total: Partial<SyncChanges> = {};
    for (const batch of inBatches(operations)) {
      const body = await post("sync", {
        ...tenant,
        sync_mode: "incremental",
        sync_timestamp: timestamp,
        operations: batch,
      });
      expect(body.processed === batch.length, "Every operation is processed.");
      for (const [name, count] of Object.entries(body.changes as SyncChanges)) {
        total[name as keyof SyncChanges] = (total[name as keyof SyncChanges] ?? 0) + count;
      }
    }
    return total as SyncChanges;
  }
}

function upsert({ id, data }: Package): Operation {
  return { action: "upsert", id, namespace: NAMESPACE, data };
}

function remove(id: string): Operation {
  return { action: "delete", id, namespace: NAMESPACE };
}

function inBatches(operations: Operation[]): Operation[][] {
  const batches: Operation[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const operation of operations) {
    const size = Buffer.byteLength(JSON.stringify(operation));
    if (bytes + size > BATCH_BYTES || batches.at(-1)!.length === BATCH_OPERATIONS) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)!.push(operation);
    bytes += size;
  }
  return batches;
}

// biome-ignore lint/suspicious/noExplicitAny: the callers check the fields that they use
async function post(endpoint: string, body: object): Promise<any> {
  const { url, apiKey } = server!;
  const response = await fetch(`${url}/v1/pipeline/${endpoint}`, {
    method: "POST",
    headers: { "X-API-Key": apiKey, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  expect(response.status === 200, `${endpoint} answered ${response.status}: ${JSON.stringify(answer)}`);
  return answer;
}

function report(step: string, result: string, started: number): void {
  const ms = Math.round(performance.now() - started);
  console.log(`  ${step.padEnd(17)} ${result.padEnd(64)} ${String(ms).padStart(5)} ms`);
}

function describe(changes: SyncChanges): string {
  const parts = Object.entries(changes).filter(([, count]) => count > 0);
  return parts.map(([name, count]) => `${count} ${name}`).join(", ");
}

function describeSplit(body: { existing_ids: string[]; new_ids: string[]; total_checked: number }): string {
  return `of ${body.total_checked} ids, ${body.existing_ids.length} exist and ${body.new_ids.length} do not`;
}

function expectChanges(changes: SyncChanges, nonZero: Partial<SyncChanges>): void {
  const zeros = Object.fromEntries(Object.keys(changes).map((name) => [name, 0]));
  const text = JSON.stringify({ ...zeros, ...nonZero });
  expect(JSON.stringify(changes) === text, `Expected ${text}, got ${JSON.stringify(changes)}.`);
}

function expect(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

async function cleanUp(): Promise<void> {
  try {
    await server?.stop();
  } finally {
    server = undefined;
    rmSync(folder, { recursive: true, force: true });
  }
}
