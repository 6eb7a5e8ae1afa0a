import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { describe, type TestContext, test } from "node:test";
import { LONG } from "../../server/test/long.ts";
import { runForObject, startServerProcess } from "../../server/test/server-process.ts";
import { temporaryFolder } from "../../server/test/test-server.ts";
import { digestOf, type SourceRecord, type SyncAllOptions, Tidemark, type Wait } from "../src/public.ts";

const RECORDS = LONG ? 250_000 : 6_000;
const PACKAGES = LONG ? 60_000 : 2_000;
const BATCH = LONG ? 5000 : 500;

/** A server in its own process that a test can kill and restart on the same port and database. */
async function startKillable(t: TestContext) {
  const settings = { TIDEMARK_DATABASE_URL: `file:${await temporaryFolder(t)}/tidemark.db` };
  const { id: organizationId } = await runForObject(["org", "create", "Acme"], settings);
  const inside = ["--organization", organizationId];
  const { id: vectorStoreId } = await runForObject(["store", "create", "Docs", ...inside], settings);
  const connector = ["connector", "create", "Airbyte", ...inside, "--store", vectorStoreId];
  const { api_key: apiKey } = await runForObject(connector, settings);

  let server = await startServerProcess(t, settings);
  const { url } = server;
  const again = { ...settings, TIDEMARK_PORT: new URL(url).port };
  let restarted: Promise<void> = Promise.resolve();
  const waits: Wait[] = [];
  const options = { url, apiKey, organizationId, vectorStoreId, retry: { maxMs: 1000, attempts: 40 } };
  return {
    tidemark: new Tidemark({ ...options, onWait: (wait) => waits.push(wait) }),
    waits,
    kill() {
      restarted = server.end("SIGKILL").then(async () => {
        server = await startServerProcess(t, again);
      });
    },
    restarted: () => restarted,
  };
}

/** Generated records: `edit` changes every hundredth, `keep` drops every tenth. */
function* generate({
  edit = false,
  drop = false,
  only = false,
} = {}): Generator<SourceRecord & { id: string }> {
  for (let n = 0; n < RECORDS; n++) {
    if (drop && n % 10 === 7) continue;
    const edited = n % 100 === 3;
    if (only && !edited) continue;
    const text = `${n} `.repeat(40);
    const data = { title: `Record ${n}`, text, tags: ["a", n % 7], revision: edit && edited ? 2 : 1 };
    yield { id: `record_${n}`, data, updated_at: "2025-11-11T10:30:00Z" };
  }
}

describe("while the server is killed and started again", () => {
  test("a load, its repetition, a change of 1 % and a refresh with removals succeed with retries", async (t) => {
    const { tidemark, waits, kill, restarted } = await startKillable(t);
    const rss: number[] = [];
    /** Syncs, and kills the server twice meanwhile: at an answer, and during a request. */
    const sync = async (
      records: Iterable<SourceRecord>,
      mode: SyncAllOptions["mode"],
      batchOperations = BATCH,
    ) => {
      waits.length = 0;
      const result = await tidemark.syncAll(records, {
        mode,
        namespace: "generated",
        batchOperations,
        onProgress: ({ requests, phase }) => {
          if (requests % 10 === 9) rss.push(process.memoryUsage.rss());
          if (phase !== "sending") return;
          if (requests === 1) kill();
          if (requests === 4) setImmediate(kill);
        },
      });
      await restarted();
      t.diagnostic(`${result.operations} records in ${result.requests} requests, ${waits.length} waits`);
      assert.ok(waits.length > 0, "the kills were noticed");
      return result;
    };
    const counts = ({ changes }: { changes: object }) =>
      Object.fromEntries(Object.entries(changes).filter(([, count]) => count > 0));

    const loaded = await sync(generate(), "incremental");
    assert.deepEqual([counts(loaded), loaded.inSync], [{ created: RECORDS }, true]);

    const again = await sync(generate(), "incremental");
    assert.deepEqual([counts(again), again.inSync], [{ unchanged: RECORDS }, true]);

    const changed = await sync(generate({ edit: true, only: true }), "incremental", BATCH / 50);
    assert.deepEqual(counts(changed), { updated: RECORDS / 100 });

    const refreshed = await sync(generate({ edit: true, drop: true }), "full_refresh");
    const kept = RECORDS * 0.9;
    assert.deepEqual(counts(refreshed), { unchanged: kept, cleared: RECORDS / 10 });
    assert.equal(refreshed.inSync, true);

    const { data } = await tidemark.listNamespaces();
    assert.deepEqual([data.length, data[0]!.records], [1, kept]);
    assert.equal(data[0]!.digest, await digestOf(generate({ edit: true, drop: true })));
    if (LONG) {
      const mb = rss.map((bytes) => Math.round(bytes / 1024 / 1024));
      t.diagnostic(`RSS of the client's process, MB, in order: ${mb.join(" ")}`);
    }
  });

  test("a client that was killed too resumes its run", async (t) => {
    const { tidemark, kill, restarted } = await startKillable(t);
    const options = { mode: "full_refresh", namespace: "generated", batchOperations: BATCH } as const;
    const run = { sync_timestamp: new Date().toISOString(), refresh_id: "kept by the caller" };
    const controller = new AbortController();
    const crash = tidemark.syncAll(generate(), {
      ...options,
      run,
      signal: controller.signal,
      onProgress: ({ requests }) => {
        if (requests !== 5) return;
        kill();
        controller.abort(new Error("crashed"));
      },
    });
    await assert.rejects(crash, /crashed/);
    await restarted();
    const result = await tidemark.syncAll(generate(), { ...options, run });
    assert.deepEqual([result.changes.created, result.inSync], [RECORDS, true]);
  });
});

const noAptCache =
  spawnSync("apt-cache", ["--version"]).status === 0 ? false : "apt-cache --version does not run here";

/** The stanzas of `apt-cache dumpavail`, one record for each version of a package. */
async function* readPackages(): AsyncGenerator<SourceRecord & { id: string }> {
  const child = spawn("apt-cache", ["dumpavail"], { stdio: ["ignore", "pipe", "ignore"] });
  const ids = new Set<string>();
  let data: Record<string, string> = {};
  let name = "";
  try {
    for await (const line of createInterface(child.stdout)) {
      if (line.startsWith(" ")) data[name] += `\n${line.slice(1)}`;
      else if (line !== "") {
        name = line.slice(0, line.indexOf(":"));
        data[name] = line.slice(line.indexOf(":") + 2);
      } else {
        const id = `${data.Package} ${data.Version} ${data.Architecture}`;
        if (!ids.has(id)) yield { id, data, source_system: "apt" };
        ids.add(id);
        data = {};
        if (ids.size >= PACKAGES) return;
      }
    }
  } finally {
    child.kill();
  }
}

test("the packages that apt knows are in sync after a refresh, and unchanged after the next", {
  skip: noAptCache,
}, async (t) => {
  const { tidemark } = await startKillable(t);
  const options = { mode: "full_refresh", namespace: "packages", batchOperations: BATCH } as const;
  const first = await tidemark.syncAll(readPackages(), options);
  if (first.operations === 0) return t.skip("apt knows no packages here");
  t.diagnostic(`${first.operations} packages`);
  assert.deepEqual([first.changes.created, first.inSync], [first.operations, true]);
  const second = await tidemark.syncAll(readPackages(), options);
  assert.deepEqual([second.changes.unchanged, second.inSync], [first.operations, true]);
});
