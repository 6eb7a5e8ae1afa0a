import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { Tidemark, TidemarkError, type TidemarkOptions, type Wait } from "../src/public.ts";
import { records, startStore } from "./store.ts";

/** A server that is not Tidemark, and a client of it. */
async function startOther(t: TestContext, listener: RequestListener, options: Partial<TidemarkOptions> = {}) {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const waits: Wait[] = [];
  const tidemark = new Tidemark({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    apiKey: "tdm_c_key",
    organizationId: "org_a",
    vectorStoreId: "vs_b",
    retry: { baseMs: 1, maxMs: 5, attempts: 3 },
    onWait: (wait) => waits.push(wait),
    ...options,
  });
  return { tidemark, waits };
}

const operations = [{ action: "upsert" as const, id: "a", namespace: "tasks" }];
const sync = { sync_mode: "incremental" as const, sync_timestamp: "2025-11-11T10:30:00Z", operations };
const isCode = (code: string) => (error: unknown) => error instanceof TidemarkError && error.code === code;

describe("a sync", () => {
  test("is sent again under the same key if its answer is lost, and is applied once", async (t) => {
    let lost = 0;
    const { tidemark, waits } = await startStore(
      t,
      {},
      {
        fetch: async (input, init) => {
          const response = await fetch(input, init);
          if (String(input).endsWith("/sync") && lost++ < 2) throw new TypeError("the connection broke");
          return response;
        },
      },
    );
    const answer = await tidemark.sync(sync);
    assert.equal(answer.changes.created, 1, "the first answer, and not that nothing had changed");
    assert.deepEqual(
      waits.map(({ reason, error }) => [reason, error?.code]),
      Array(2).fill(["retry", "CONNECTION_FAILED"]),
    );
    assert.equal((await tidemark.listSyncs()).data.length, 1);
  });

  test("has a new key each time, unless the caller gives one", async (t) => {
    const { tidemark } = await startStore(t);
    const changes = [];
    for (const idempotencyKey of [undefined, undefined, "mine", "mine"]) {
      const answer = await tidemark.sync(sync, idempotencyKey ? { idempotencyKey } : {});
      changes.push(answer.sync_id);
    }
    assert.equal(new Set(changes).size, 3);
    assert.equal(changes[2], changes[3]);
    const other = { ...sync, operations: [] };
    await assert.rejects(tidemark.sync(other, { idempotencyKey: "mine" }), isCode("IDEMPOTENCY_KEY_REUSED"));
  });

  test("waits while a request with the same key is running", async (t) => {
    const keys: unknown[] = [];
    const { tidemark } = await startOther(t, (request, response) => {
      keys.push(request.headers["idempotency-key"]);
      const inUse = keys.length < 3;
      response.writeHead(inUse ? 409 : 200, { "content-type": "application/json" });
      const error = { code: "IDEMPOTENCY_KEY_IN_USE", message: "It still runs." };
      response.end(JSON.stringify(inUse ? { success: false, error } : { status: "success" }));
    });
    assert.deepEqual(await tidemark.sync(sync), { status: "success" });
    assert.equal(keys.length, 3);
    assert.equal(new Set(keys).size, 1);
  });
});

describe("an error of the server", () => {
  test("has its code, type, trace id and details", async (t) => {
    const { tidemark, client, tenant } = await startStore(t);
    const tooMany = tidemark.checkExists({ namespace: "tasks", ids: Array(5001).fill("a") });
    await assert.rejects(tooMany, (error: unknown) => {
      assert.ok(error instanceof TidemarkError && error.is("BATCH_SIZE_EXCEEDED"));
      assert.deepEqual([error.status, error.type, error.details.limit], [400, "validation_error", 5000]);
      assert.match(error.trace_id!, /^req_/);
      assert.equal(error.name, "TidemarkError");
      assert.ok(!error.is("VALIDATION_ERROR"));
      return true;
    });
    await assert.rejects(
      client({ apiKey: "tdm_c_wrong" }).listNamespaces(),
      isCode("AUTHENTICATION_REQUIRED"),
    );
    await assert.rejects(
      client({ vectorStoreId: "vs_other" }).sync(sync),
      isCode("INSUFFICIENT_PERMISSIONS"),
    );
    await assert.rejects(client({ vectorStoreId: "vs_other" }).validate(), (error: TidemarkError) => {
      assert.ok(error.is("VALIDATION_FAILED"));
      assert.equal(error.details.checks.vector_store.valid, false);
      return true;
    });
    assert.ok(!JSON.stringify(await tidemark.health()).includes(tenant.key));
  });

  test("that will not pass is not retried", async (t) => {
    const { tidemark, waits } = await startStore(t);
    await assert.rejects(
      tidemark.getRecord({ namespace: "tasks", id: "none" }),
      isCode("RESOURCE_NOT_FOUND"),
    );
    assert.deepEqual(waits, []);
  });
});

describe("an answer", () => {
  // Texts with which V8 confuses a key with the one that it read before: nodejs/node#63785.
  for (const [earlier, key] of [
    ["\\", "\n"],
    ["\\", '"'],
    ["a\\", "a\t"],
  ] as const) {
    test(`keeps its key ${JSON.stringify(key)} after a text with the key ${JSON.stringify(earlier)}`, async (t) => {
      const { tidemark } = await startOther(t, (_, response) =>
        response.end(JSON.stringify({ id: "a", data: { c: 1, [key]: { c: 1, [key]: "\n" } } })),
      );
      JSON.parse(JSON.stringify({ c: 1, [earlier]: 2 }));
      const { data } = await tidemark.getRecord({ namespace: "tasks", id: "a" });
      assert.deepEqual(data, { c: 1, [key]: { c: 1, [key]: "\n" } });
    });
  }
});

describe("an answer that is not Tidemark's", () => {
  test("is an error with its status, after as many attempts as its status allows", async (t) => {
    let requests = 0;
    const statuses = [502, 404, 200];
    const { tidemark } = await startOther(t, (request, response) => {
      requests++;
      const status = Number(new URL(request.url!, "http://x").searchParams.get("namespace"));
      response.writeHead(status).end("<html>");
    });
    for (const status of statuses) {
      requests = 0;
      await assert.rejects(tidemark.listRecords({ namespace: String(status) }), (error: TidemarkError) => {
        assert.deepEqual([error.code, error.status], ["UNEXPECTED_ANSWER", status]);
        return true;
      });
      assert.equal(requests, status === 502 ? 3 : 1);
    }
  });

  test("is not followed if it is a redirection, which would get the key", async (t) => {
    const asked: string[] = [];
    const { tidemark } = await startOther(t, (request, response) => {
      asked.push(request.url!);
      response.writeHead(307, { location: "/elsewhere" }).end();
    });
    await assert.rejects(tidemark.health(), isCode("UNEXPECTED_ANSWER"));
    assert.deepEqual(asked, ["/v1/pipeline/health"]);
  });
});

describe("no answer", () => {
  test("in time is TIMED_OUT, after all attempts", async (t) => {
    let requests = 0;
    const { tidemark, waits } = await startOther(t, () => void requests++);
    await assert.rejects(tidemark.listNamespaces({}, { timeoutMs: 30 }), isCode("TIMED_OUT"));
    assert.deepEqual([requests, waits.length], [3, 2]);
  });

  test("from a closed port is CONNECTION_FAILED, with its cause and without the key", async (t) => {
    const { tidemark } = await startOther(t, (request) => request.socket.destroy());
    await assert.rejects(tidemark.sync(sync), (error: TidemarkError) => {
      assert.equal(error.code, "CONNECTION_FAILED");
      assert.ok(error.cause instanceof Error);
      assert.ok(!error.message.includes("tdm_c_key"));
      return true;
    });
  });

  test("ends with the caller's signal, even during a wait", async (t) => {
    const hanging = new AbortController();
    const { tidemark, waits } = await startOther(t, () => hanging.abort(new Error("enough")));
    await assert.rejects(tidemark.health({ signal: hanging.signal }), /enough/);
    assert.deepEqual(waits, [], "it is not taken for a failure that may pass");

    const waiting = new AbortController();
    const options = { retry: { baseMs: 1_000_000 }, onWait: () => waiting.abort(new Error("no more waits")) };
    const other = await startOther(t, (request) => request.socket.destroy(), options);
    await assert.rejects(other.tidemark.health({ signal: waiting.signal }), /no more waits/);
  });
});

describe("the rate limit", () => {
  test("is kept by the answers' headers, so that no request is rejected", async (t) => {
    const pauses: number[] = [];
    const { tidemark, server, waits } = await startStore(
      t,
      { rateLimitPerMinute: 3 },
      {
        pause: async (ms) => {
          pauses.push(ms);
          // The server's clock did not move meanwhile.
          server.clock.now += 60_000;
        },
      },
    );
    const result = await tidemark.syncAll(records(0, 8), {
      mode: "incremental",
      namespace: "tasks",
      batchOperations: 1,
    });
    assert.equal(result.changes.created, 8);
    assert.ok(waits.length >= 2);
    assert.deepEqual(
      new Set(waits.map(({ reason, error }) => `${reason} ${error?.code}`)),
      new Set(["rate_limit undefined"]),
    );
    assert.ok(pauses.every((ms) => ms > 0 && ms <= 60_000));
    // The other endpoint has its own limit.
    const before = waits.length;
    await tidemark.checkExists({ namespace: "tasks", ids: ["r0"] });
    assert.equal(waits.length, before);
  });

  test("that another client exhausted delays the request as long as the server asks", async (t) => {
    const { tidemark, client, server, waits } = await startStore(
      t,
      { rateLimitPerMinute: 2 },
      {
        pause: async (ms) => {
          server.clock.now += Math.ceil(ms);
        },
      },
    );
    const other = client();
    await other.sync(sync);
    await other.sync(sync);
    assert.equal((await tidemark.sync(sync)).status, "success");
    assert.deepEqual(
      waits.map(({ reason, error }) => [reason, error?.code]),
      [["rate_limit", "RATE_LIMIT_EXCEEDED"]],
    );
    assert.ok(waits[0]!.delayMs >= waits[0]!.error!.retryAfterMs!);
  });
});
