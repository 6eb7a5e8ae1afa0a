import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { SyncResponse } from "@tidemark/protocol/sync";
import { openCommands } from "../../src/commands.ts";
import { readConfig } from "../../src/config.ts";
import { openStorage } from "../../src/storage/open.ts";
import type { Storage } from "../../src/storage/port.ts";
import { faults, startEmbeddingsServer } from "../embeddings-server.ts";
import { engines } from "../engines.ts";
import { checkIndexed, releaseEntries, wordOf } from "../indexed-store.ts";
import { LONG } from "../long.ts";
import { startServerProcess } from "../server-process.ts";
import { syncBody, type Tenant } from "../test-server.ts";
import { whenDone } from "../when-done.ts";
import { createTarget } from "./load.ts";

const KILLS = LONG ? 100 : 4;
/** How many embedding requests a server makes before it is killed: one more than the last server, up to this. */
const REQUESTS = 10;
const IDS = Array.from({ length: 60 }, (_, index) => `r${index}`);
const NAMESPACES = ["tasks", "notes"];
/** Sentences in every record; one record in six has too many of them for one chunk. */
const FILLER = "It drips a little, and nobody knows why. ".repeat(6);

/** Sends upserts, deletes and refreshes, each content with a unique word, until the server is gone. */
class Writer {
  /** Every word that was ever sent. */
  words = 0;
  acknowledged = 0;
  #tenant: Tenant;
  #time = Date.UTC(2025, 10, 11, 9);

  constructor(tenant: Tenant) {
    this.#tenant = tenant;
  }

  async write(url: string): Promise<void> {
    while (await this.sync(url));
  }

  /** @returns undefined if the server is gone */
  async sync(url: string): Promise<SyncResponse | undefined> {
    const namespace = pick(NAMESPACES);
    const operations = IDS.filter(() => Math.random() < 0.4).map((id) => {
      if (Math.random() < 0.2) return { action: "delete", namespace, id };
      const word = wordOf(this.words++);
      const body = Math.random() < 1 / 6 ? `${FILLER}\n\n`.repeat(12) : FILLER;
      return { action: "upsert", namespace, id, data: { title: `Note ${word}`, word, body } };
    });
    const sync_timestamp = new Date(this.#time++).toISOString();
    const sync_mode = Math.random() < 0.2 ? "full_refresh" : "incremental";
    const body = syncBody(this.#tenant, { sync_mode, sync_timestamp, operations });
    let status: number;
    let answer: unknown;
    try {
      const response = await fetch(`${url}/v1/pipeline/sync`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": this.#tenant.key },
        body: JSON.stringify(body),
      });
      status = response.status;
      answer = await response.json();
    } catch {
      return undefined;
    }
    assert.equal(status, 200, JSON.stringify(answer));
    this.acknowledged++;
    return answer as SyncResponse;
  }
}

const pick = <T>(from: T[]): T => from[Math.floor(Math.random() * from.length)]!;

/** The texts of searchable chunks, whose vectors are stored. */
async function readEmbedded(storage: Storage, storeId: string): Promise<Set<string>> {
  const rows = await storage.read((sql) =>
    sql.all("SELECT text FROM chunks WHERE store_id = $1 AND vector IS NOT NULL", [storeId]),
  );
  return new Set(rows.map(({ text }) => String(text)));
}

for (const engine of engines) {
  test(`${engine.name}: an indexer that is killed repeatedly ends with each record's chunks, once`, async (t) => {
    const endpoint = await startEmbeddingsServer(t);
    // The endpoint is slow, so that kills hit requests in flight.
    endpoint.fault = faults.slow(20);
    const databaseUrl = await engine.createDatabase(t);
    const tenant = await createTarget(databaseUrl);
    const storage = await openStorage(databaseUrl);
    whenDone(t, () => storage.close());
    const embeddings = { embeddingsUrl: endpoint.url, embeddingsModel: "test-model" };
    const commands = openCommands(storage, readConfig({}, embeddings));
    const settings = {
      TIDEMARK_DATABASE_URL: databaseUrl,
      TIDEMARK_LOG_LEVEL: "info",
      TIDEMARK_EMBEDDINGS_URL: endpoint.url,
      TIDEMARK_EMBEDDINGS_MODEL: "test-model",
      TIDEMARK_EMBEDDINGS_BATCH_SIZE: "8",
    };
    const writer = new Writer(tenant);
    /** Texts that were searchable when a server was killed. */
    const embedded = new Set<string>();
    let repeated = 0;
    const before = new Set<string>();
    /** Checks the embedding requests of one server. */
    const checkAsked = async (from: number) => {
      const asked = endpoint.texts.slice(from);
      const twice = asked.filter((text, index) => asked.indexOf(text) !== index);
      assert.deepEqual(twice, [], "no server asks twice for a text");
      // So a text is embedded twice only if its batch was in flight when a server was killed.
      for (const text of asked) {
        assert.ok(!embedded.has(text), `this text was searchable and was embedded again: ${text}`);
        if (before.has(text)) repeated++;
        before.add(text);
      }
      for (const text of await readEmbedded(storage, tenant.storeId)) embedded.add(text);
    };

    // An engine with slower commits gets half as many kills, except in a long test.
    const kills = LONG || engine.share === 1 ? KILLS : KILLS / 2;
    for (let kill = 0; kill < kills; kill++) {
      const from = endpoint.texts.length;
      if (kill % 4 === 1) await commands.beginBuild(tenant.storeId, "{}", true);
      const server = await startServerProcess(t, settings);
      const writing = Promise.all([writer.write(server.url), writer.write(server.url)]);
      // The kill may come during an embedding request, a write, or a merge.
      for (let number = kill % REQUESTS; number >= 0; number--) await endpoint.arrival();
      await pause(Math.random() * 150);
      await server.end("SIGKILL");
      await writing;
      await checkAsked(from);
      // The entries that the dead server had claimed are made due now instead of at the end of the lease.
      await releaseEntries(storage, tenant.storeId);
    }

    const from = endpoint.texts.length;
    const server = await startServerProcess(t, settings);
    // Records that are indexed by now are changed and deleted once more.
    for (let number = 0; number < 4; number++) {
      const { sync_id } = (await writer.sync(server.url))!;
      const search = { query: "note", mode: "lexical", after_sync: sync_id!, timeout_ms: 60_000 } as const;
      await commands.search(tenant.organizationId, tenant.storeId, search);
    }
    await until(async () => (await storage.index.builds(tenant.storeId)).length === 1);
    assert.deepEqual(await server.end("SIGTERM"), { code: 0, signal: null });
    await checkAsked(from);

    const live = await storage.read((sql) =>
      sql.all("SELECT content FROM contents WHERE store_id = $1", [tenant.storeId]),
    );
    const words = new Set(live.map(({ content }) => JSON.parse(String(content)).data.word));
    const gone = Array.from({ length: writer.words }, (_, number) => wordOf(number)).filter(
      (word) => !words.has(word),
    );
    endpoint.fault = null;
    const { records, chunks } = await checkIndexed(storage, tenant, endpoint, gone.slice(-100));
    assert.ok(records > 20 && chunks > records, `${records} records, ${chunks} chunks`);
    assert.deepEqual(await engine.findCorruption(storage), []);
    t.diagnostic(
      `${kills} kills, ${writer.acknowledged} syncs, ${before.size} texts, ${repeated} embedded again after a kill`,
    );
  });
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await isSo())) {
    assert.ok(performance.now() < end, "The rebuild did not finish.");
    await pause(50);
  }
}
