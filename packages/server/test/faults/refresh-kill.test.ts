import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { NamespaceObject, RefreshObject } from "@tidemark/protocol/browse";
import type { SyncResponse } from "@tidemark/protocol/sync";
import { openCommands } from "../../src/commands.ts";
import { readConfig } from "../../src/config.ts";
import { openStorage } from "../../src/storage/open.ts";
import { engines } from "../engines.ts";
import { changes, runMaintenance } from "../http/staged-refresh-client.ts";
import { type Version, versionOf, Watcher } from "../http/staged-refresh-watcher.ts";
import { LONG } from "../long.ts";
import { readRecords } from "../model/ledger-rows.ts";
import { type ServerProcess, startServerProcess } from "../server-process.ts";
import { syncBody, type Tenant } from "../test-server.ts";
import { whenDone } from "../when-done.ts";
import { createTarget } from "./load.ts";

/** Each round is a refresh of 12,000 records in three parts, with three kills. */
const ROUNDS = LONG ? 20 : 1;
const RECORDS = 12_000;
const PART = 4000;
const FILLER = "some text that makes a record about as long as records are. ".repeat(4);

/** The records of a round: a quarter of the last round's records is gone, and half of the others changed. */
const roundOf = (round: number) =>
  versionOf(
    `round ${round}`,
    Array.from({ length: RECORDS }, (_, i) => {
      const n = round * (RECORDS / 4) + i;
      return [`r${n}`, { n, v: n % 2 ? round : 0, FILLER }];
    }),
  );
const CHANGES = changes({ created: 3000, updated: 4500, unchanged: 4500, cleared: 3000 });

const partOf = ({ ids, data }: Version, part: number) =>
  ids
    .slice(part * PART, (part + 1) * PART)
    .map((id) => ({ action: "upsert", id, namespace: "tasks", data: data.get(id) }));

/** A server that is killed and restarted, with clients that write and read all the time. */
class MortalServer {
  #t: TestContext;
  #databaseUrl: string;
  #tenant: Tenant;
  #server!: ServerProcess;
  #watcher: Watcher | undefined;
  /** How long a part takes, to time the kills. */
  #partMs = 0;

  constructor(t: TestContext, databaseUrl: string, tenant: Tenant) {
    this.#t = t;
    this.#databaseUrl = databaseUrl;
    this.#tenant = tenant;
  }

  async start(): Promise<void> {
    const settings = { TIDEMARK_DATABASE_URL: this.#databaseUrl, TIDEMARK_LOG_LEVEL: "info" };
    this.#server = await startServerProcess(this.#t, settings);
  }

  /** Starts readers, which may see these versions. */
  watch(...versions: Version[]): Watcher {
    this.#watcher = new Watcher(this.#server.url, this.#tenant, "tasks", versions);
    return this.#watcher;
  }

  async kill(): Promise<void> {
    this.#watcher?.expectDeath();
    await this.#server.end("SIGKILL");
    await this.#watcher?.stop();
    await this.start();
  }

  end(): Promise<unknown> {
    return this.#server.end("SIGTERM");
  }

  /** Sends a sync that must be answered. */
  async send(fields: object): Promise<SyncResponse> {
    const began = performance.now();
    const text = await this.#send(fields);
    this.#partMs = Math.max(this.#partMs, performance.now() - began);
    return JSON.parse(text ?? assert.fail("the connection broke"));
  }

  /** Sends a sync and kills the server meanwhile. @returns the answer's text, if one arrived */
  async killDuring(fields: object): Promise<string | undefined> {
    const sending = this.#send(fields);
    await pause(this.#partMs * 1.2 * Math.random());
    await this.kill();
    return sending;
  }

  async refreshes(): Promise<[operations: number, batches: number][]> {
    const { data } = await this.#get<RefreshObject>("/refreshes");
    return data.map(({ operations, batches }) => [operations, batches]);
  }

  /** The one version, of some, whose records the namespace has. */
  async present(...versions: Version[]): Promise<Version> {
    const [tasks] = (await this.#get<NamespaceObject>("/namespaces")).data;
    const found = versions.find(
      ({ digest, ids }) => tasks!.digest === digest && tasks!.records === ids.length,
    );
    return found ?? assert.fail(`the namespace is none of ${versions.map(({ name }) => name)}`);
  }

  async #send(fields: object): Promise<string | undefined> {
    const body = JSON.stringify(syncBody(this.#tenant, { ...fields }));
    let status: number;
    let text: string;
    try {
      const response = await fetch(`${this.#server.url}/v1/pipeline/sync`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": this.#tenant.key },
        body,
      });
      status = response.status;
      text = await response.text();
    } catch {
      return undefined;
    }
    assert.equal(status, 200, text);
    return text;
  }

  async #get<T>(path: string): Promise<{ data: T[] }> {
    const { organizationId, storeId, key } = this.#tenant;
    const store = `${this.#server.url}/v1/organizations/${organizationId}/vector-stores/${storeId}`;
    const response = await fetch(store + path, { headers: { "x-api-key": key } });
    return (await response.json()) as { data: T[] };
  }
}

for (const engine of engines) {
  test(`${engine.name}: a refresh of 12,000 records survives kills between its parts, in a part, and in its last batch`, async (t) => {
    const databaseUrl = await engine.createDatabase(t);
    const tenant = await createTarget(databaseUrl);
    const storage = await openStorage(databaseUrl);
    whenDone(t, () => storage.close());
    const server = new MortalServer(t, databaseUrl, tenant);
    await server.start();
    const seen = { part: { answered: 0, staged: 0, lost: 0 }, last: { answered: 0, applied: 0, lost: 0 } };

    let before = await roundOf(0);
    for (const part of [0, 1, 2]) await server.send({ operations: partOf(before, part) });
    for (let round = 1; round <= ROUNDS; round++) {
      const after = await roundOf(round);
      const sync_timestamp = `2025-11-11T11:${String(round).padStart(2, "0")}:00Z`;
      const fields = { sync_mode: "full_refresh", sync_timestamp, refresh_id: "run" };
      const part = (number: number) => ({ ...fields, last_batch: false, operations: partOf(after, number) });
      const last = { ...fields, expected_operations: RECORDS, operations: partOf(after, 2) };

      // A kill between two parts keeps the acknowledged part. If a client sends it again, it counts once.
      server.watch(before);
      await server.send(part(0));
      await server.kill();
      assert.deepEqual(await server.refreshes(), [[PART, 1]]);
      server.watch(before);
      assert.deepEqual((await server.send(part(0))).refresh, {
        refresh_id: "run",
        operations: PART,
        batches: 1,
      });

      // A kill during a part leaves it staged whole or not at all, and the client may send it again.
      const staged = await server.killDuring(part(1));
      const [[operations]] = (await server.refreshes()) as [[number, number]];
      assert.ok(operations === 2 * PART || (operations === PART && !staged), `${operations} operations`);
      seen.part[staged ? "answered" : operations === PART ? "lost" : "staged"]++;
      const watcher = server.watch(before);
      const { refresh } = await server.send(part(1));
      assert.deepEqual(refresh, { refresh_id: "run", operations: 2 * PART, batches: 2 });

      // A kill during the last batch leaves the run applied whole or not at all, and the client may send it again.
      watcher.expect(before, after);
      const applied = await server.killDuring(last);
      const now = await server.present(before, after);
      if (applied) assert.equal(now, after);
      seen.last[applied ? "answered" : now === after ? "applied" : "lost"]++;
      const survivors = now === after ? server.watch(after) : server.watch(before, after);
      const answer = await server.send(last);
      survivors.expect(after);
      if (applied) assert.equal(JSON.stringify(answer), applied);
      assert.deepEqual([answer.changes, answer.digests], [CHANGES, { tasks: after.digest }]);
      await survivors.stop();
      assert.equal(await server.present(before, after), after);
      assert.deepEqual(await server.refreshes(), []);
      before = after;
    }

    t.diagnostic(`${3 * ROUNDS} kills: ${JSON.stringify(seen)}`);
    assert.deepEqual(await server.end(), { code: 0, signal: null });
    await runMaintenance(openCommands(storage, readConfig({}), () => Date.parse("2025-11-11T12:00:00Z")));
    const stored = await readRecords(storage, tenant.storeId, { swept: true });
    const data = new Map(stored.map(({ id, content }) => [id, (content as { data: object }).data]));
    assert.deepEqual(data, before.data);
    assert.deepEqual(await engine.findCorruption(storage), []);
  });
}
