import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { type EmbeddingsServer, type Fault, faults, startEmbeddingsServer } from "../embeddings-server.ts";
import { engines, type TestEngine, usualEngine } from "../engines.ts";
import { upsert } from "../http/pipeline.ts";
import { startSearching } from "../http/searching.ts";
import { LONG } from "../long.ts";
import { createTenant, syncBody, type TestServer } from "../test-server.ts";
import { whenDone } from "../when-done.ts";

/** How much faster than real time the server's clock runs, so that its pauses end soon. */
const SPEED = 20;
/** How long the endpoint is down. */
const DEAD_MS = LONG ? 60_000 : 500;
/** After this long, a wait counts as failed. */
const PATIENCE_MS = 60_000;
const QUERY = "query: ";
const MODEL = { embeddingsModel: "test-model", embeddingsQueryPrefix: QUERY };

/** A unique word for each number, without digits. */
const wordOf = (number: number) =>
  `x${number.toString(8).replace(/\d/g, (digit) => "bcdfghjk"[Number(digit)]!)}`;

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    assert.ok(performance.now() < end, `timed out waiting for: ${what}`);
    await pause(20);
  }
}

/** Advances a server's clock until the test ends. */
function runClock(t: TestContext, { clock }: TestServer, speed = SPEED): void {
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    clock.now += Math.round((now - last) * speed);
    last = now;
  }, 5);
  whenDone(t, () => clearInterval(timer));
}

/** A server that indexes with an endpoint, and its store. */
async function startIndexing(t: TestContext, engine: TestEngine, { speed = SPEED, timeoutMs = 10_000 } = {}) {
  const endpoint = await startEmbeddingsServer(t);
  const config = {
    ...MODEL,
    databaseUrl: await engine.createDatabase(t),
    embeddingsUrl: endpoint.url,
    embeddingsTimeoutMs: timeoutMs,
    embeddingsQueryTimeoutMs: 1000,
  };
  const searching = await startSearching(t, config, { indexes: true });
  const { server, tenant, sync } = searching;
  runClock(t, server, speed);
  let records = 0;
  return {
    ...searching,
    endpoint,
    get records() {
      return records;
    },
    /** Syncs new records, each with a unique word. @returns when the first was sent */
    async putSome(count: number): Promise<number> {
      const sentAt = server.clock.now;
      const operations = Array.from({ length: count }, () => {
        records++;
        return upsert(`r${records}`, { data: { title: `common ${wordOf(records)}` } });
      });
      const { status, body } = await sync({ operations });
      assert.equal(status, 200, JSON.stringify(body));
      return sentAt;
    },
    /** `indexing` of the only namespace. */
    async indexing(): Promise<{ pending: number; failed: number; oldest_pending_at: string | null }> {
      const path = `/v1/organizations/${tenant.organizationId}/vector-stores/${tenant.storeId}/namespaces`;
      const { body } = await server.request("GET", path, { headers: { "x-api-key": searching.reader } });
      return body.data[0].indexing;
    },
    /** A search's mode and warnings while the endpoint works: lexical with a warning if vectors cannot be compared. */
    async wellMode(): Promise<[mode: string, warnings: number]> {
      const problem = await server.storage.index.search(tenant.storeId, (index) => index.vectorProblem());
      return problem === null ? ["hybrid", 0] : ["lexical", 1];
    },
    /** The errors of the queue entries that wait. */
    blamed: () =>
      server.storage.read((sql) =>
        sql.all("SELECT id, attempts, error FROM index_queue WHERE attempts > 0 OR error IS NOT NULL"),
      ),
    /** The dimensions of the stored vectors. */
    async dimensions(): Promise<number[]> {
      const rows = await server.storage.read((sql) => sql.all("SELECT embedding FROM vectors"));
      const sizes = rows.map(({ embedding }) => {
        const of: unknown = embedding;
        return of instanceof Uint8Array ? of.length / 4 : (of as number[]).length;
      });
      return [...new Set(sizes)];
    },
  };
}

/** Whether a request embeds records' texts. */
const isForChunks = ({ texts }: { texts: string[] }) => !texts[0]!.startsWith(QUERY);

/** Ways in which an endpoint fails, and how it recovers. */
const OUTAGES: { name: string; fault: Fault }[] = [
  { name: "hangs", fault: faults.hang() },
  { name: "answers 429 with Retry-After", fault: faults.status(429, { "retry-after": "3" }) },
  { name: "answers 500", fault: faults.status(500) },
  { name: "gives vectors of other dimensions", fault: faults.dimensions(32) },
  { name: "gives NaN", fault: faults.number(Number.NaN) },
  { name: "closes connections", fault: faults.close() },
];

for (const engine of engines) {
  describe(`${engine.name}: a failing embeddings endpoint`, () => {
    test("delays no sync and no search; the backlog is visible, and is indexed once the endpoint recovers", async (t) => {
      const store = await startIndexing(t, engine, { timeoutMs: 300 });
      const { endpoint } = store;
      await store.putSome(10);
      await until("up to date at first", async () => (await store.indexing()).pending === 0);
      const before = (await store.search({ query: "common", limit: 100 })).body;
      assert.deepEqual([before.mode, before.warnings?.length ?? 0], await store.wellMode());
      assert.equal(before.data.length, 10);

      for (const { name, fault } of OUTAGES.filter((_, index) => engine.share === 1 || LONG || index < 2)) {
        await t.test(`it ${name}`, () =>
          throughOutage(store, async (work) => {
            endpoint.fault = fault;
            await work();
            endpoint.fault = null;
          }),
        );
      }
      await t.test("it goes down, and comes back", () =>
        throughOutage(
          store,
          async (work) => {
            await endpoint.die();
            await work();
            await pause(DEAD_MS);
            await endpoint.revive();
          },
          true,
        ),
      );
      assert.deepEqual(await store.dimensions(), [64]);
    });
  });

  describe(`${engine.name}: a text that the endpoint rejects`, () => {
    test("makes only its record fail after some attempts, until an operator retries it", async (t) => {
      // Leases use this clock too, so it must not run faster than the indexer's loop.
      const store = await startIndexing(t, engine, { speed: 1 });
      const { endpoint, server, tenant } = store;
      const ids = [tenant.organizationId, tenant.storeId] as const;
      endpoint.fault = faults.refuse("poison", 400, "fault: poison");
      await store.putSome(40);
      await store.put({ bad: { title: "poison" } });
      await store.putSome(40);
      await until("all but one are indexed", async () => (await store.indexing()).pending <= 1);
      assert.equal((await store.found({ query: "common", limit: 100 })).length, 80);

      for (let tried = 1; tried < 6; tried++) {
        // A sync wakes the indexer, so the test need not wait for its next round.
        await store.sync({ operations: [] });
        await until(`attempt ${tried}`, async () => (await store.blamed())[0]?.attempts === tried);
        const [entry] = await store.blamed();
        assert.match(String(entry!.error), /fault: poison/);
        assert.equal(endpoint.texts.filter((text) => text.includes("poison")).length >= tried, true);
        server.clock.now += 3_600_000;
      }
      await store.sync({ operations: [] });
      await until("it has failed", async () => (await store.indexing()).failed === 1);
      assert.deepEqual(
        (await store.blamed()).map(({ id, attempts }) => [id, attempts]),
        [["bad", 6]],
      );
      assert.equal((await store.indexing()).pending, 0);
      const asked = endpoint.requests.length;
      server.clock.now += 24 * 3_600_000;
      await store.putSome(1);
      await until("up to date", async () => (await store.indexing()).pending === 0);
      assert.equal(endpoint.requests.length, asked + 1, "what failed is not tried again");

      endpoint.fault = null;
      assert.equal(await server.commands.retryFailed(...ids, { namespace: "tasks", id: "bad" }), 1);
      await until("up to date", async () => {
        const { pending, failed } = await store.indexing();
        return pending === 0 && failed === 0;
      });
      assert.deepEqual(await store.found({ query: "poison", mode: "lexical" }), ["bad"]);
    });

    test("delays no other store, and neither does a backlog", async (t) => {
      const store = await startIndexing(t, engine, { speed: 1 });
      const { endpoint, server, tenant } = store;
      const other = await createTenant(server.commands);
      endpoint.fault = (exchange) => {
        const { texts } = exchange.request;
        return texts.some((text) => text.includes("poison"))
          ? faults.refuse("poison")(exchange)
          : faults.slow(10)(exchange);
      };
      const poison = Array.from({ length: 30 }, (_, index) => [`bad${index}`, { title: `poison ${index}` }]);
      await store.put(Object.fromEntries(poison));
      await store.putSome(3000);
      const body = syncBody(other, { operations: [upsert("a", { data: { title: "elsewhere" } })] });
      const { body: synced } = await server.post("/v1/pipeline/sync", body, { "x-api-key": other.key });
      const { data } = await server.commands.search(other.organizationId, other.storeId, {
        query: "elsewhere",
        after_sync: synced.sync_id,
        timeout_ms: PATIENCE_MS,
      });
      assert.equal(data.length, 1);
      const { pending } = await store.indexing();
      assert.ok(pending > 500, `${pending} of ${store.records} still wait in store ${tenant.storeId}`);
      await until("all but the refused are indexed", async () => (await store.indexing()).pending <= 30);
    });
  });
}

describe("an embeddings endpoint that asks for a pause, or answers in part", () => {
  test("gets no request during the pause", async (t) => {
    const store = await startIndexing(t, usualEngine());
    const { endpoint, server } = store;
    const asked: number[] = [];
    endpoint.fault = (exchange) => {
      asked.push(server.clock.now);
      return faults.status(429, { "retry-after": "10" })(exchange);
    };
    await store.putSome(5);
    await until("it was asked again", async () => asked.length >= 3);
    endpoint.fault = null;
    const pauses = asked.slice(1).map((at, index) => at - asked[index]!);
    assert.ok(
      pauses.every((ms) => ms >= 10_000),
      `the next requests came after ${pauses} ms`,
    );
    await until("up to date", async () => (await store.indexing()).pending === 0);
  });

  test("embeds no text twice: vectors from before a failure are kept", async (t) => {
    const store = await startIndexing(t, usualEngine());
    const { endpoint } = store;
    // Batches have 32 texts; the second and the fourth batch fail.
    endpoint.next = [null, faults.status(503), null, faults.status(503)];
    await store.putSome(120);
    await until("up to date", async () => (await store.indexing()).pending === 0);
    const refused = endpoint.requests.slice(0, 4).filter((_, index) => index % 2 === 1);
    const lost = new Set(refused.flatMap(({ texts }) => texts));
    const counts = Map.groupBy(endpoint.texts, (text) => text);
    for (const [text, { length }] of counts) {
      assert.ok(length <= (lost.has(text) ? 3 : 1), `${text}: ${length} times`);
    }
    assert.equal(counts.size, 120);
  });
});

type Indexing = Awaited<ReturnType<typeof startIndexing>>;

/** Checks syncs and searches during an outage and afterwards. @param during runs work while the endpoint fails */
async function throughOutage(
  store: Indexing,
  during: (work: () => Promise<void>) => Promise<void>,
  isDead = false,
): Promise<void> {
  const { endpoint, server } = store;
  const indexed = store.records;
  await during(async () => {
    const attempts = countAttempts(endpoint, isDead);
    const sentAt = await store.putSome(20);
    await until("it was tried", attempts.some);
    await store.putSome(20);
    const { pending, oldest_pending_at } = await store.indexing();
    assert.equal(pending, 40);
    assert.ok(Date.parse(oldest_pending_at!) >= sentAt);
    assert.ok(Date.parse(oldest_pending_at!) < server.clock.now, "the lag grows");

    const { status, body } = await store.search({ query: `common ${wordOf(indexed)}` });
    assert.equal(status, 200);
    assert.deepEqual([body.mode, body.warnings.length, body.indexing.pending], ["lexical", 1, 40]);
    assert.equal(body.data[0].id, `r${indexed}`);
    if (isDead && (await store.wellMode())[0] === "hybrid") {
      const semantic = await store.search({ query: "common", mode: "semantic" });
      assert.deepEqual([semantic.status, semantic.body.error?.code], [503, "SERVICE_UNAVAILABLE"]);
    }
    // The same holds after repeated attempts.
    await until("it was tried again", attempts.several);
    await store.putSome(20);
    assert.equal((await store.indexing()).pending, 60);
    assert.deepEqual(await store.blamed(), [], "no record is to blame");
  });
  await until("up to date", async () => (await store.indexing()).pending === 0);
  assert.equal((await store.indexing()).failed, 0);
  const { body } = await store.search({ query: `common ${wordOf(store.records)}` });
  assert.deepEqual([body.mode, body.warnings?.length ?? 0], await store.wellMode());
  assert.equal(body.data[0].id, `r${store.records}`);
  const all = await store.server.storage.read((sql) => sql.all("SELECT count(*) AS count FROM chunks"));
  assert.equal(Number(all[0]!.count), store.records);
}

/** Counts requests that embed records' texts from now on; an endpoint that is down cannot count them. */
function countAttempts(endpoint: EmbeddingsServer, isDead: boolean) {
  const from = endpoint.requests.length;
  const count = () => endpoint.requests.slice(from).filter(isForChunks).length;
  return { some: async () => isDead || count() > 0, several: async () => isDead || count() > 2 };
}
