import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { write } from "../src/write.ts";
import {
  complete,
  deduplicated,
  type Message,
  record,
  refreshed,
  runWrite,
  startDestination,
  startServer,
  stateValues,
  status,
  streamState,
} from "./destination.ts";

const { newStore } = await startServer();
const isState = ({ type }: Message) => type === "STATE";
const user = (id: number) => record("users", { id });
const order = (id: number) => record("orders", { id });
const TWO = { streams: [deduplicated("users"), deduplicated("orders")] };
const ENDS = [complete("users"), complete("orders")];

const globalState = (shared: unknown) => ({
  type: "STATE",
  state: {
    type: "GLOBAL",
    global: {
      shared_state: shared,
      stream_states: [{ stream_descriptor: { name: "users" }, stream_state: { at: shared } }],
    },
  },
});

describe("states", () => {
  test("are emitted unchanged and in order, each with its number of records", async (t) => {
    const { config } = await newStore();
    const { states, code } = await runWrite(t, config, TWO, [
      streamState("users", { at: 0 }),
      user(1),
      order(1),
      streamState("users", { at: 1 }),
      user(2),
      user(3),
      streamState("users", { at: 3 }),
      streamState("orders", { at: 1 }),
      order(2),
      streamState("orders", { at: 2 }),
      ...ENDS,
    ]);
    assert.equal(code, 0);
    const summaries = states.map(({ stream, destinationStats }) => [
      stream.stream_descriptor.name,
      stream.stream_state.at,
      destinationStats.recordCount,
    ]);
    assert.deepEqual(summaries, [
      ["users", 0, 0],
      ["users", 1, 1],
      ["users", 3, 2],
      ["orders", 1, 1],
      ["orders", 2, 1],
    ]);
  });

  test("of type GLOBAL, and states without a type, count the records of all streams", async (t) => {
    const { config } = await newStore();
    const { states } = await runWrite(t, config, TWO, [
      user(1),
      order(1),
      globalState(1),
      order(2),
      { type: "STATE", state: { data: { at: 2 } } },
      globalState(3),
      ...ENDS,
    ]);
    assert.deepEqual(
      states.map(({ type, destinationStats }) => [type, destinationStats.recordCount]),
      [
        ["GLOBAL", 2],
        [undefined, 1],
        ["GLOBAL", 0],
      ],
    );
    assert.deepEqual(states[0].global, globalState(1).state.global);
    assert.deepEqual(states[1].data, { at: 2 });
  });

  test("keep every number, member and string exactly as the source wrote it", async (t) => {
    const { config } = await newStore();
    const members = '"lsn":23011544123456789012,"ratio":0.10,"text":"\u2028 \\\\ é","\\\\":1,"\\n":2';
    const state = `{"type":"STREAM","stream":{"stream_descriptor":{"name":"users"},"stream_state":{${members}}},"id":7,"sourceStats":{"recordCount":1.0}}`;
    const destination = await startDestination(t, "write", { config, catalog: TWO });
    let output = "";
    destination.process.stdout.on("data", (bytes) => {
      output += bytes;
    });
    destination.send(user(1), `{"type":"STATE","state":${state}}`, ...ENDS);
    await destination.end();
    const expected = `{"type":"STATE","state":${state.slice(0, -1)},"destinationStats":{"recordCount":1.0}}}`;
    assert.ok(output.split("\n").includes(expected), output);
  });

  test("wait for all records before them, of every stream", async (t) => {
    const { config, contents } = await newStore();
    const catalog = { streams: [refreshed("users", 1), deduplicated("orders")] };
    const two = { ...config, batch_records: 2 };
    const destination = await startDestination(t, "write", { config: two, catalog });
    destination.send(user(1), order(1), streamState("orders", { at: 1 }), order(2), order(3));
    // The third order sends the first two; the user before the state is not sent.
    destination.send(order(4), order(5), user(2), user(3));
    await destination.next(isState);
    assert.deepEqual(Object.keys(await contents("orders")), ["1", "2", "3", "4"]);
    assert.deepEqual(stateValues(destination.messages.filter(isState).map(({ state }) => state)), [
      { at: 1 },
    ]);
    destination.send(streamState("orders", { at: 5 }), complete("users"), complete("orders"));
    const { states, code } = await destination.end();
    assert.deepEqual([code, stateValues(states)], [0, [{ at: 1 }, { at: 5 }]]);
  });

  test("are emitted after the interval while the source is silent", async (t) => {
    const { config, contents } = await newStore();
    const often = { ...config, flush_interval_seconds: 0.1 };
    const destination = await startDestination(t, "write", { config: often, catalog: TWO });
    for (const id of [1, 2, 3]) {
      destination.send(user(id), streamState("users", { at: id }));
      const { state } = await destination.next(isState);
      assert.deepEqual(state.stream.stream_state, { at: id });
      assert.equal(Object.keys(await contents("users")).length, id);
    }
    destination.send(...ENDS);
    assert.equal((await destination.end()).code, 0);
  });

  test("are emitted after the interval while the source never pauses", async () => {
    const { config } = await newStore();
    let emitted = false;
    let sent = 0;
    const line = (message: object) => Buffer.from(`${JSON.stringify(message)}\n`);
    const input = async function* () {
      yield line(user(0));
      yield line(streamState("users", { at: 0 }));
      // Status messages fill no batch.
      while (!emitted && sent++ < 1_000_000) yield line(status("users", "RUNNING"));
      yield line(complete("users"));
    };
    await write({ ...config, flush_interval_seconds: 0.1 }, TWO, input(), ({ type }) => {
      emitted ||= type === "STATE";
    });
    assert.ok(sent < 1_000_000, "the state was emitted while the source was sending");
  });

  test("are emitted when many bytes wait in all streams together", { timeout: 120_000 }, async (t) => {
    const { config, tidemark } = await newStore();
    const names = ["a", "b", "c", "d", "e"];
    const catalog = { streams: names.map((name) => refreshed(name, 1)) };
    const late = { ...config, flush_interval_seconds: 3600 };
    const destination = await startDestination(t, "write", { config: late, catalog });
    const text = "x".repeat(7 * 1024 * 1024);
    const sent = destination.next(isState);
    destination.send(record("a", { id: 1 }));
    for (const name of names) destination.send(record(name, { id: 2, text }));
    destination.send(streamState("a", { at: 1 }));
    await sent;
    const { data } = await tidemark.listRefreshes();
    assert.deepEqual(data.map(({ operations }) => operations).sort(), [1, 1, 1, 1, 2]);
    destination.send(...names.map((name) => complete(name)));
    assert.equal((await destination.end()).code, 0);
  });

  test("wait only until their records fill a request, by number or 8 MiB", async (t) => {
    const { config, tidemark } = await newStore();
    const text = "x".repeat(5 * 1024 * 1024);
    const large = [1, 2, 3].map((id) => record("users", { id, text }));
    const small = [4, 5, 6, 7, 8, 9].map((id) => order(id));
    await runWrite(t, { ...config, batch_records: 4 }, TWO, [...large, ...small, ...ENDS]);
    const { data } = await tidemark.listSyncs();
    // The third large record shares a request with three small ones.
    assert.deepEqual(data.map(({ results }) => results.upserted).reverse(), [1, 1, 4, 3]);
  });

  test("are all emitted, even very many", async (t) => {
    const { config } = await newStore();
    const messages = Array.from({ length: 5000 }, (_, at) => [
      user(at % 50),
      streamState("users", { at }),
    ]).flat();
    const { states, code } = await runWrite(t, { ...config, batch_records: 500 }, TWO, [
      ...messages,
      ...ENDS,
    ]);
    assert.equal(code, 0);
    assert.deepEqual(
      stateValues(states).map(({ at }) => at),
      Array.from({ length: 5000 }, (_, at) => at),
    );
    assert.ok(states.every(({ destinationStats }) => destinationStats.recordCount === 1));
  });

  test("after a record that the server rejects are not emitted", async (t) => {
    const { config, contents } = await newStore();
    const deep = record("users", { id: 3, deep: JSON.parse("[".repeat(80) + "]".repeat(80)) });
    const { states, code, errors } = await runWrite(t, { ...config, batch_records: 1 }, TWO, [
      user(1),
      streamState("users", { at: 1 }),
      user(2),
      streamState("users", { at: 2 }),
      deep,
      streamState("users", { at: 3 }),
      user(4),
      ...ENDS,
    ]);
    assert.equal(code, 1);
    assert.deepEqual(stateValues(states), [{ at: 1 }, { at: 2 }]);
    assert.deepEqual(Object.keys(await contents("users")), ["1", "2"]);
    assert.equal(errors[0].failure_type, "config_error");
    assert.match(errors[0].message, /rejects the record "3" of users/);
  });

  test("that wait for another stream's refresh do not cause one request per record, even if they are large", async (t) => {
    const { config, tidemark } = await newStore();
    const catalog = { streams: [deduplicated("users"), refreshed("orders", 0)] };
    const large = "x".repeat(1024 * 1024);
    const { code, states } = await runWrite(t, config, catalog, [
      order(1),
      ...Array.from({ length: 36 }, (_, at) => [user(at), streamState("users", { at, large })]).flat(),
      ...Array.from({ length: 300 }, (_, index) => user(100 + index)),
      ...ENDS,
    ]);
    assert.deepEqual([code, states.length], [0, 36]);
    const { data, next_cursor } = await tidemark.listSyncs({ limit: 20 });
    assert.deepEqual([data.length < 20, next_cursor], [true, null]);
  });
});
