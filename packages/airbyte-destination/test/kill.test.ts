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
/** After how many emitted states a test kills the process. */
const KILL_AFTER = LONG ? Array.from({ length: 15 }, (_, i) => i + 1) : [1, 7];

/** The messages of a source that continues after a state; all records differ, so that a lost one shows. */
function messagesAfter(name: string, at: number): object[] {
  const messages: object[] = [];
  for (let id = at + 1; id <= RECORDS; id++) {
    messages.push(record(name, { id, text: `record ${id}` }));
    if (id % STATE_EVERY === 0) messages.push(streamState(name, { at: id }));
  }
  return messages;
}

const allRecords = Object.fromEntries(
  Array.from({ length: RECORDS }, (_, i) => [i + 1, { id: i + 1, text: `record ${i + 1}` }]),
);
const isState = ({ type }: Message) => type === "STATE";

/** Kills the destination after this many emitted states. @returns the state from which the source continues */
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
  assert.deepEqual(await store.contents(name), allRecords);
}

describe("killing the process after it emitted a state loses nothing before the state", () => {
  for (const states of KILL_AFTER) {
    test(`of an incremental stream, after ${states} states`, async (t) => {
      const store = await newStore();
      const catalog = { streams: [deduplicated("users")] };
      const config = { ...store.config, batch_records: 7 };
      const at = await killAfter(t, config, catalog, "users", 0, states);
      const stored = await store.contents("users");
      for (let id = 1; id <= at; id++) assert.deepEqual(stored[id], allRecords[id]);
      await finish(t, store, config, catalog, "users", at);
    });

    test(`of a refreshed stream, after ${states} states, and again after the next one`, async (t) => {
      const store = await newStore();
      const catalog = { streams: [refreshed("users", 1)] };
      const config = { ...store.config, batch_records: 7 };
      const first = await killAfter(t, config, catalog, "users", 0, states);
      assert.deepEqual(await store.contents("users"), {}, "readers do not see staged records");
      const second =
        first < RECORDS - STATE_EVERY ? await killAfter(t, config, catalog, "users", first, 1) : first;
      await finish(t, store, config, catalog, "users", second);
    });
  }
});

test("a killed and restarted server delays a sync, but loses nothing", async (t) => {
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
  assert.deepEqual(await store.contents("users"), allRecords);
  assert.deepEqual(await store.contents("orders"), allRecords);
});
