import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import type { SyncObject } from "@tidemark/protocol/browse";
import { engines } from "../engines.ts";
import { createTarget } from "../faults/load.ts";
import { type ServerProcess, startServerProcess } from "../server-process.ts";
import { syncBody } from "../test-server.ts";
import { assertError, assertFieldError } from "./error-answer.ts";
import { SYNC } from "./pipeline.ts";
import { at, changes, remove, startRefresher, upserts } from "./staged-refresh-client.ts";

const HOUR_MS = 3_600_000;
const key = (text: string) => ({ "idempotency-key": text });

for (const engine of engines) {
  test(`${engine.name}: 20 identical concurrent requests to two servers execute once`, async (t) => {
    const databaseUrl = await engine.createDatabase(t);
    const tenant = await createTarget(databaseUrl);
    const settings = { TIDEMARK_DATABASE_URL: databaseUrl };
    const servers = await Promise.all([startServerProcess(t, settings), startServerProcess(t, settings)]);
    const body = JSON.stringify(
      syncBody(tenant, { operations: upserts(0, 2000, { text: "x".repeat(200) }) }),
    );
    const headers = { "content-type": "application/json", "x-api-key": tenant.key, ...key("one") };
    const send = async ({ url }: ServerProcess) => {
      const response = await fetch(url + SYNC, { method: "POST", headers, body });
      const replayed = response.headers.get("idempotency-replayed");
      return { status: response.status, headers: response.headers, replayed, text: await response.text() };
    };
    const sent = await Promise.all(Array.from({ length: 20 }, (_, index) => send(servers[index % 2]!)));
    const executed = sent.filter(({ status, replayed }) => status === 200 && replayed === null);
    assert.equal(executed.length, 1);
    const [{ text }] = executed as [(typeof executed)[0]];
    assert.deepEqual(JSON.parse(text).changes, changes({ created: 2000 }));
    for (const answer of sent) {
      if (answer.status === 200) assert.equal(answer.text, text);
      else assertError({ ...answer, body: JSON.parse(answer.text) }, "IDEMPOTENCY_KEY_IN_USE");
    }

    for (const server of servers) await server.end("SIGKILL");
    const server = await startServerProcess(t, settings);
    const { status, replayed, text: replay } = await send(server);
    assert.deepEqual([status, replayed, replay], [200, "true", text]);
    const store = `/v1/organizations/${tenant.organizationId}/vector-stores/${tenant.storeId}`;
    const history = await fetch(`${server.url}${store}/syncs`, { headers: { "x-api-key": tenant.key } });
    const { data } = (await history.json()) as { data: SyncObject[] };
    assert.deepEqual(
      data.map(({ id }) => id),
      [JSON.parse(text).sync_id],
    );
  });
}

describe("an Idempotency-Key", () => {
  test("replays the first answer byte for byte and changes nothing", async (t) => {
    const refresher = await startRefresher(t);
    const fields = { operations: [...upserts(0, 3), remove("r9")] };
    const first = await refresher.syncText(fields, key("one"));
    assert.deepEqual([first.status, first.replayed], [200, null]);
    await refresher.sync({ operations: [remove("r0"), ...upserts(1, 2, { v: 1 })] });
    const before = await refresher.rows();
    refresher.server.clock.now += HOUR_MS;
    const second = await refresher.syncText(fields, key("one"));
    assert.deepEqual([second.status, second.replayed, second.text], [200, "true", first.text]);
    assert.deepEqual(await refresher.rows(), before);
    assert.deepEqual(await refresher.contents(), { r1: { v: 1 }, r2: {} });
    // Without a key or with another key, the request is a new sync.
    assert.deepEqual((await refresher.syncText(fields)).body.changes.created, 1);
    const third = await refresher.syncText(fields, key("two"));
    assert.deepEqual(third.body.changes, changes({ unchanged: 3, absent: 1 }));
    assert.equal(third.replayed, null);
  });

  test("applies whatever the encoding and the prefix of the request", async (t) => {
    const { server, send, headers, tenant } = await startRefresher(t);
    const body = JSON.stringify(syncBody(tenant, { operations: upserts(0, 3) }));
    const first = await send(body, key("one"));
    const gzip = await send(gzipSync(body), { ...key("one"), "content-encoding": "gzip" });
    const other = await server.post("/v1/connectors/pipeline/sync", body, { ...headers, ...key("one") });
    for (const { status, headers, body } of [gzip, other]) {
      assert.deepEqual([status, headers.get("idempotency-replayed"), body], [200, "true", first.body]);
    }
  });

  test("with another body is rejected, and the body is not applied", async (t) => {
    const refresher = await startRefresher(t);
    const first = await refresher.syncText({ operations: upserts(0, 3) }, key("one"));
    const before = await refresher.rows();
    const others = [{ operations: upserts(0, 4) }, { operations: upserts(0, 3), sync_timestamp: at(31) }];
    for (const fields of others) {
      assertError(await refresher.sync(fields, key("one")), "IDEMPOTENCY_KEY_REUSED");
    }
    assert.deepEqual(await refresher.rows(), before);
    const replay = await refresher.syncText({ operations: upserts(0, 3) }, key("one"));
    assert.equal(replay.text, first.text);
  });

  test("belongs to one connector", async (t) => {
    const refresher = await startRefresher(t);
    const other = await refresher.addConnector();
    const fields = { operations: upserts(0, 3) };
    const first = await refresher.syncText(fields, key("one"));
    const otherFirst = await refresher.syncText(fields, key("one"), other);
    assert.deepEqual([otherFirst.status, otherFirst.replayed], [200, null]);
    assert.deepEqual(otherFirst.body.changes, changes({ unchanged: 3 }));
    const changed = await refresher.syncText({ operations: upserts(3, 4) }, key("two"), other);
    assert.equal(changed.status, 200);
    const [ownReplay, otherReplay] = [
      await refresher.syncText(fields, key("one")),
      await refresher.syncText(fields, key("one"), other),
    ];
    assert.deepEqual([ownReplay.text, otherReplay.text], [first.text, otherFirst.text]);
  });

  test("saves only a 200", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 3) });
    const limited = { operations: [remove("r0"), remove("r1")], removal_limit: "50%" };
    assertError(await refresher.sync(limited, key("limited")), "REMOVAL_LIMIT_EXCEEDED");
    assertError(await refresher.sync({ operations: [{}] }, key("invalid")), "VALIDATION_ERROR");
    await refresher.refresh({ sync_timestamp: at(20), operations: upserts(0, 3) });
    await refresher.sync({ operations: upserts(3, 4) });
    const applied = await refresher.syncText(limited, key("limited"));
    assert.deepEqual([applied.status, applied.replayed, applied.body.changes.removed], [200, null, 2]);
    // A failed request does not reserve the key for its body.
    const other = await refresher.syncText({ operations: upserts(5, 6) }, key("invalid"));
    assert.deepEqual([other.status, other.replayed], [200, null]);
    // An invalid request gets its own error, not the saved answer.
    assertError(await refresher.sync({ operations: [{}] }, key("invalid")), "VALIDATION_ERROR");
  });

  test("works for the parts of a staged run", async (t) => {
    const refresher = await startRefresher(t);
    const fields = { sync_mode: "full_refresh", sync_timestamp: at(31) };
    const part = { ...fields, last_batch: false, operations: upserts(0, 3) };
    const staged = await refresher.syncText(part, key("part"));
    const second = await refresher.syncText({ ...part, operations: upserts(3, 6) });
    assert.equal(second.body.refresh.operations, 6);
    assert.equal((await refresher.syncText(part, key("part"))).text, staged.text);
    const last = { ...fields, operations: upserts(6, 9) };
    const applied = await refresher.syncText(last, key("last"));
    assert.deepEqual(applied.body.changes, changes({ created: 9 }));
    const replay = await refresher.syncText(last, key("last"));
    assert.deepEqual([replay.replayed, replay.text], ["true", applied.text]);
  });

  test("is forgotten after 24 hours", async (t) => {
    const refresher = await startRefresher(t);
    const { clock } = refresher.server;
    const fields = { operations: upserts(0, 3) };
    const first = await refresher.syncText(fields, key("one"));
    clock.now += 24 * HOUR_MS;
    await refresher.runMaintenance();
    assert.equal((await refresher.syncText(fields, key("one"))).text, first.text);
    clock.now += 1;
    const second = await refresher.syncText({ operations: upserts(0, 4) }, key("one"));
    assert.deepEqual([second.status, second.replayed], [200, null]);
    assert.equal((await refresher.syncText({ operations: upserts(0, 4) }, key("one"))).text, second.text);
    clock.now += 24 * HOUR_MS + 1;
    await refresher.runMaintenance();
    assert.deepEqual(((await refresher.rows()) as Record<string, string[]>).idempotency_keys, []);
  });

  test("is 1 to 255 printable ASCII characters", async (t) => {
    const refresher = await startRefresher(t);
    const before = await refresher.rows();
    for (const bad of ["", "k".repeat(256), "café", "tab\there"]) {
      const answer = await refresher.sync({ operations: upserts(0, 1) }, key(bad));
      assertFieldError(answer, "Idempotency-Key", "INVALID_FORMAT");
    }
    assert.deepEqual(await refresher.rows(), before);
    for (const good of ["k", "k".repeat(255), `a b"c'd;e,f\\g~!`]) {
      const first = await refresher.syncText({ operations: upserts(0, 1) }, key(good));
      const second = await refresher.syncText({ operations: upserts(0, 1) }, key(good));
      assert.deepEqual([first.status, second.replayed, second.text], [200, "true", first.text], good);
    }
  });
});
