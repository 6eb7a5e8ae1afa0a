import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { LONG } from "../../server/test/long.ts";
import {
  complete,
  deduplicated,
  type Message,
  record,
  refreshed,
  startDestination,
  startServer,
  streamState,
  type TestStore,
} from "./destination.ts";

const { newStore, restart } = await startServer();

const RECORDS = 300;
const STATE_EVERY = 20;
/** States after whose echo the process is killed. */
const KILL_AFTER = LONG ? Array.from({ length: 15 }, (_, i) => i + 1) : [1, 7];

/** What a source that begins after a state sends: every record has a text of its own, so that a lost one shows. */
function messagesAfter(name: string, at: number): object[] {
  const messages: object[] = [];
  for (let id = at + 1; id <= RECORDS; id++) {
    messages.push(record(name, { id, text: `record ${id}` }));
    if (id % STATE_EVERY === 0) messages.push(streamState(name, { at: id }));
  }
  return messages;
}

const whole = Object.fromEntries(
  Array.from({ length: RECORDS }, (_, i) => [i + 1, { id: i + 1, text: `record ${i + 1}` }]),
);
const isState = ({ type }: Message) => type === "STATE";

/** Runs until so many states have come out, and kills. @returns where the source has to go on */
async function killAfter(
  t: TestContext,
  config: unknown,
  catalog: unknown,
  name: string,
  at: number,
  states: number,
) {
  const destination = await startDestination(t, "write", { config, catalog });
  let left = states;
  const last = destination.next((message) => isState(message) && --left === 0);
  destination.send(...messagesAfter(name, at));
  await last;
  destination.process.kill("SIGKILL");
  const { messages } = await destination.ended;
  return Number(messages.filter(isState).at(-1).state.stream.stream_state.at);
}

async function finish(
  t: TestContext,
  store: TestStore,
  config: unknown,
  catalog: unknown,
  name: string,
  at: number,
) {
  const destination = await startDestination(t, "write", { config, catalog });
  destination.send(...messagesAfter(name, at), complete(name));
  const { code, errors } = await destination.end();
  assert.deepEqual([code, errors], [0, []]);
  assert.deepEqual(await store.contents(name), whole);
}

describe("killing the process after a state came out loses nothing before it", () => {
  for (const states of KILL_AFTER) {
    test(`of a stream that is added to, after ${states} states`, async (t) => {
      const store = await newStore();
      const catalog = { streams: [deduplicated("users")] };
      const config = { ...store.config, batch_records: 7 };
      const at = await killAfter(t, config, catalog, "users", 0, states);
      const found = await store.contents("users");
      for (let id = 1; id <= at; id++) assert.deepEqual(found[id], whole[id]);
      await finish(t, store, config, catalog, "users", at);
    });

    test(`of a stream that is replaced, after ${states} states, and again after the next`, async (t) => {
      const store = await newStore();
      const catalog = { streams: [refreshed("users", 1)] };
      const config = { ...store.config, batch_records: 7 };
      const first = await killAfter(t, config, catalog, "users", 0, states);
      assert.deepEqual(await store.contents("users"), {}, "nobody sees what is staged");
      const second =
        first < RECORDS - STATE_EVERY ? await killAfter(t, config, catalog, "users", first, 1) : first;
      await finish(t, store, config, catalog, "users", second);
    });
  }
});

test("a server that is killed and started again costs waits and nothing else", async (t) => {
  const store = await newStore();
  const catalog = { streams: [deduplicated("users"), refreshed("orders", 1)] };
  const config = { ...store.config, batch_records: 10 };
  const destination = await startDestination(t, "write", { config, catalog });
  const both = [messagesAfter("users", 0), messagesAfter("orders", 0)].flat();
  destination.send(...both.slice(0, both.length / 3));
  await destination.next(isState);
  await restart();
  destination.send(...both.slice(both.length / 3), complete("users"), complete("orders"));
  const { code, errors, states } = await destination.end();
  assert.deepEqual([code, errors], [0, []]);
  assert.equal(states.length, (2 * RECORDS) / STATE_EVERY);
  assert.deepEqual(await store.contents("users"), whole);
  assert.deepEqual(await store.contents("orders"), whole);
});
