import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { everyItem } from "@tidemark/client";
import {
  complete,
  deduplicated,
  record,
  refreshed,
  runWrite,
  startDestination,
  startServer,
  stateValues,
  status,
  stream,
  streamState,
} from "./destination.ts";

const { newStore } = await startServer();
const user = (id: number, name = `user ${id}`) => record("users", { id, name });
const users = (...ids: number[]) => Object.fromEntries(ids.map((id) => [id, { id, name: `user ${id}` }]));
const ONE = { batch_records: 1 };

describe("a stream that is replaced", () => {
  test("shows its old records until it is complete, and then its new ones", async (t) => {
    const { config, contents } = await newStore();
    const old = await runWrite(t, config, { streams: [refreshed("users", 1)] }, [
      user(1),
      user(2),
      complete("users"),
    ]);
    assert.equal(old.code, 0);
    const second = { streams: [refreshed("users", 2)] };
    const destination = await startDestination(t, "write", {
      config: { ...config, ...ONE },
      catalog: second,
    });
    destination.send(user(2), streamState("users", { at: 2 }), user(3), user(4));
    await destination.next(({ type }) => type === "STATE");
    assert.deepEqual(await contents("users"), users(1, 2), "readers do not see a staged part");
    destination.send(complete("users"));
    assert.equal((await destination.end()).code, 0);
    assert.deepEqual(await contents("users"), users(2, 3, 4));
  });

  test("is emptied by a refresh without records", async (t) => {
    const { config, everything } = await newStore();
    await runWrite(t, config, { streams: [refreshed("users", 1)] }, [user(1), complete("users")]);
    const cleared = await runWrite(t, config, { streams: [refreshed("users", 2)] }, [complete("users")]);
    assert.equal(cleared.code, 0);
    assert.deepEqual(await everything(), {});
  });

  test("stays unchanged by an incomplete refresh, which fails and emits its states", async (t) => {
    const { config, contents } = await newStore();
    await runWrite(t, config, { streams: [refreshed("users", 1)] }, [user(1), complete("users")]);
    const second = { streams: [refreshed("users", 2)] };
    const failed = await runWrite(t, config, second, [
      status("users", "STARTED"),
      user(2),
      streamState("users", { at: 2 }),
      status("users", "INCOMPLETE"),
    ]);
    assert.equal(failed.code, 1);
    assert.equal(failed.errors[0].failure_type, "transient_error");
    assert.match(failed.errors[0].message, /did not complete users\b/);
    assert.deepEqual(failed.errors[0].stream_descriptor, { name: "users" });
    assert.deepEqual(stateValues(failed.states), [{ at: 2 }]);
    assert.deepEqual(await contents("users"), users(1));
  });

  test("stays unchanged if the source sends no final status", async (t) => {
    const { config, contents } = await newStore();
    await runWrite(t, config, { streams: [refreshed("users", 1)] }, [user(1), complete("users")]);
    const failed = await runWrite(t, config, { streams: [refreshed("users", 2)] }, [user(2)]);
    assert.equal(failed.code, 1);
    assert.deepEqual(await contents("users"), users(1));
  });

  test("loses all older generations when an incremental stream is refreshed", async (t) => {
    const { config, contents } = await newStore();
    await runWrite(t, config, { streams: [deduplicated("users")] }, [user(1), user(2), complete("users")]);
    const ids = { generation_id: 2, minimum_generation_id: 2 };
    const refresh = { streams: [deduplicated("users", ids)] };
    await runWrite(t, config, refresh, [user(2), complete("users")]);
    assert.deepEqual(await contents("users"), users(2));
  });

  test("keeps older records if the refresh has no minimum generation", async (t) => {
    const { config, contents } = await newStore();
    await runWrite(t, config, { streams: [deduplicated("users")] }, [user(1), complete("users")]);
    await runWrite(t, config, { streams: [deduplicated("users", { generation_id: 2 })] }, [
      user(2),
      complete("users"),
    ]);
    assert.deepEqual(await contents("users"), users(1, 2));
  });

  test("is replaced by every sync if Airbyte sends no generations", async (t) => {
    const { config, contents } = await newStore();
    const fields = { generation_id: null, minimum_generation_id: null, sync_id: null };
    const catalog = { streams: [refreshed("users", 0, fields)] };
    const oneByOne = { ...config, ...ONE };
    await runWrite(t, oneByOne, catalog, [user(1), user(2), complete("users")]);
    const failed = await runWrite(t, oneByOne, catalog, [user(3), streamState("users", { at: 3 }), user(4)]);
    assert.deepEqual(
      failed.states,
      [],
      "no later process can find the parts, so they do not count as delivered",
    );
    assert.deepEqual(await contents("users"), users(1, 2));
    const last = await runWrite(t, oneByOne, catalog, [
      user(2),
      streamState("users", { at: 2 }),
      user(5),
      complete("users"),
    ]);
    assert.deepEqual(stateValues(last.states), [{ at: 2 }]);
    assert.deepEqual(await contents("users"), users(2, 5));
  });

  test("applies deletes of a change log, and records after its end", async (t) => {
    const { config, contents } = await newStore();
    const deleted = { id: 1, name: "user 1", _ab_cdc_deleted_at: "2025-11-11T10:30:00Z" };
    await runWrite(t, { ...config, ...ONE }, { streams: [refreshed("users", 1)] }, [
      user(1),
      user(2),
      record("users", deleted),
      complete("users"),
      user(3),
    ]);
    assert.deepEqual(await contents("users"), users(2, 3));
  });
});

describe("an interrupted refresh", () => {
  test("continues in the next process of its generation with the parts that the first one staged", async (t) => {
    const { config, contents } = await newStore();
    const oneByOne = { ...config, ...ONE };
    await runWrite(t, config, { streams: [refreshed("users", 1)] }, [user(1), user(9), complete("users")]);
    const catalog = { streams: [refreshed("users", 2)] };
    const first = await startDestination(t, "write", { config: oneByOne, catalog });
    first.send(user(1), user(2), streamState("users", { at: 2 }), user(3));
    await first.next(({ type }) => type === "STATE");
    first.process.kill("SIGKILL");
    await first.ended;
    assert.deepEqual(await contents("users"), users(1, 9));
    const second = await runWrite(t, oneByOne, catalog, [user(3), user(4), complete("users")]);
    assert.equal(second.code, 0);
    assert.match(second.logs.join("\n"), /continues a refresh with [23] staged operations/);
    assert.deepEqual(await contents("users"), users(1, 2, 3, 4));
  });

  test("may repeat a part in an identical request, without any new records", async (t) => {
    const { config, contents } = await newStore();
    const oneByOne = { ...config, ...ONE };
    const catalog = { streams: [refreshed("users", 2)] };
    await runWrite(t, oneByOne, catalog, [user(1), user(2), status("users", "INCOMPLETE")]);
    assert.equal((await runWrite(t, oneByOne, catalog, [user(2), complete("users")])).code, 0);
    assert.deepEqual(await contents("users"), users(1, 2));
  });

  test("that was already applied is not applied again; its later records are added", async (t) => {
    const { config, contents } = await newStore();
    const catalog = { streams: [refreshed("users", 2), refreshed("orders", 2)] };
    const first = await runWrite(t, config, catalog, [
      user(1),
      streamState("users", { at: 1 }),
      complete("users"),
      status("orders", "INCOMPLETE"),
    ]);
    assert.equal(first.code, 1);
    assert.deepEqual(await contents("users"), users(1));
    const second = await runWrite(t, config, catalog, [complete("users"), complete("orders")]);
    assert.equal(second.code, 0);
    assert.deepEqual(await contents("users"), users(1), "no record was sent again, and none is lost");
    await runWrite(t, config, catalog, [user(2), complete("users"), complete("orders")]);
    assert.deepEqual(await contents("users"), users(1, 2));
  });

  test("is replaced by the next generation, which begins a new run", async (t) => {
    const { config, contents, tidemark } = await newStore();
    await runWrite(t, config, { streams: [refreshed("users", 2)] }, [user(1), status("users", "INCOMPLETE")]);
    const next = await runWrite(t, config, { streams: [refreshed("users", 3)] }, [
      user(2),
      complete("users"),
    ]);
    assert.equal(next.code, 0);
    assert.deepEqual(await contents("users"), users(2));
    assert.deepEqual((await tidemark.listRefreshes()).data, []);
  });

  test("is rejected if its parts are lost, in its generation and in later incremental syncs", async (t) => {
    const { config, contents, tidemark } = await newStore();
    await runWrite(t, config, { streams: [refreshed("users", 1)] }, [user(1), complete("users")]);
    const catalog = { streams: [refreshed("users", 2)] };
    await runWrite(t, config, catalog, [user(2), streamState("users", {}), status("users", "INCOMPLETE")]);
    const added = { streams: [deduplicated("users", { generation_id: 3 })] };
    const unfinished = await runWrite(t, config, added, [user(3), complete("users")]);
    assert.equal(unfinished.code, 1);
    assert.equal(unfinished.errors[0].failure_type, "config_error");
    for await (const { id } of everyItem((page) => tidemark.listRefreshes(page)))
      await tidemark.abortRefresh(id);
    for (const rejected of [catalog, added]) {
      const result = await runWrite(t, config, rejected, [
        user(3),
        streamState("users", {}),
        complete("users"),
      ]);
      assert.equal(result.code, 1);
      assert.equal(result.errors[0].failure_type, "config_error");
      assert.match(
        result.errors[0].message,
        /stream users \(generation 2\) was interrupted.*refresh this stream/s,
      );
      assert.deepEqual(result.states, []);
    }
    assert.deepEqual(await contents("users"), users(1));
    const restarted = await runWrite(t, config, { streams: [refreshed("users", 4)] }, [
      user(4),
      complete("users"),
    ]);
    assert.equal(restarted.code, 0);
    const after = await runWrite(t, config, { streams: [deduplicated("users", { generation_id: 4 })] }, [
      user(5),
      complete("users"),
    ]);
    assert.equal(after.code, 0);
    assert.deepEqual(await contents("users"), users(4, 5));
  });

  test("of a stream does not affect a stream with the same name in another namespace", async (t) => {
    const { config, everything } = await newStore();
    const streams = [refreshed("users", 2, { namespace: "a" }), refreshed("users", 2, { namespace: "b" })];
    const result = await runWrite(t, { ...config, ...ONE }, { streams }, [
      record("users", { id: 1 }, "a"),
      record("users", { id: 1 }, "b"),
      record("users", { id: 2 }, "a"),
      complete("users", "b"),
      status("users", "INCOMPLETE", "a"),
    ]);
    assert.equal(result.code, 1);
    assert.deepEqual(await everything(), { "b/users": [{ id: 1 }] });
  });
});

describe("the removal limit", () => {
  test("rejects a refresh that would remove too much, until it is raised", async (t) => {
    const { config, contents } = await newStore();
    const ids = [1, 2, 3, 4];
    const first = { streams: [refreshed("users", 1)] };
    await runWrite(t, config, first, [...ids.map((id) => user(id)), complete("users")]);
    const catalog = { streams: [refreshed("users", 2)] };
    const limited = { ...config, ...ONE, removal_limit: "50%" };
    const rejected = await runWrite(t, limited, catalog, [user(1), complete("users")]);
    assert.equal(rejected.code, 1);
    assert.equal(rejected.errors[0].failure_type, "config_error");
    assert.match(rejected.errors[0].message, /refresh of users would remove more .*\(50%\).* 3 of 4 records/);
    assert.deepEqual(await contents("users"), users(...ids));
    const raised = { ...limited, removal_limit: "3" };
    assert.equal((await runWrite(t, raised, catalog, [user(1), complete("users")])).code, 0);
    assert.deepEqual(await contents("users"), users(1));
  });
});

test("streams without a key can be replaced, and their records have ids by content", async (t) => {
  const { config, everything } = await newStore();
  const rates = (generation: number) => ({
    streams: [stream("rates", { destination_sync_mode: "overwrite", minimum_generation_id: generation })],
  });
  const rate = (value: number) => record("rates", { value });
  await runWrite(t, config, rates(1), [rate(1), rate(2), rate(1), complete("rates")]);
  assert.equal((await everything()).rates!.length, 2);
  await runWrite(t, config, rates(2), [rate(2), rate(3), complete("rates")]);
  assert.deepEqual(new Set((await everything()).rates), new Set([{ value: 2 }, { value: 3 }]));
});
