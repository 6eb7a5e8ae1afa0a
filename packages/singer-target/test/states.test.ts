import assert from "node:assert/strict";
import { test } from "node:test";
import { record, schema, startStore, state } from "./target-process.ts";

const declare = (stream: string) => schema(stream, { id: { type: "integer" } });

test("a STATE goes out when everything before it is on disk", {
  concurrency: 2,
  timeout: 120_000,
}, async (t) => {
  const store = await startStore(t);
  const tests: Promise<void>[] = [];
  const check = (name: string, body: () => Promise<void>) => tests.push(t.test(name, body));

  check("after a kill at any STATE, everything before that STATE is stored", async () => {
    for (const [at, settings] of [
      [1, { batch_size_rows: 1 }],
      [5, { batch_size_rows: 7 }],
      [12, { batch_size_bytes: 400 }],
      [20, { batch_size_rows: 100 }],
    ] as const) {
      const streams = ["even", "odd"].map((name) => `killed_${at}_${name}`);
      const target = await store.start(settings);
      target.write(streams.map(declare));
      // A STATE after every fifth record, with the number of records before it.
      for (let n = 0; n < 1000; n++) {
        target.write([record(streams[n % 2]!, { id: n })]);
        if (n % 5 === 4) target.write([state({ before: n + 1 })]);
      }
      let before = 0;
      for (let i = 0; i < at; i++) ({ before } = JSON.parse(await target.nextState()));
      await target.kill();
      const ids = new Set((await Promise.all(streams.map(store.ids))).flat());
      const missing = Array.from({ length: before }, (_, n) => `${n}`).filter((id) => !ids.has(id));
      assert.deepEqual(missing, [], `of the ${before} records before STATE ${at}`);
      assert.equal(before, at * 5, "every STATE comes, in order");
    }
  });

  check("a STATE waits neither for a full batch nor for the end of the input", async () => {
    const target = await store.start({ batch_wait_limit_seconds: 0.05 });
    target.write([declare("waiting"), record("waiting", { id: 1 }), state("first")]);
    assert.equal(await target.nextState(), '"first"');
    assert.deepEqual(await store.ids("waiting"), ["1"]);
    target.write([state("nothing before it")]);
    assert.equal(await target.nextState(), '"nothing before it"');
    assert.equal((await target.end()).code, 0);
  });

  check("a record waits no longer than the limit, even without a STATE", async () => {
    const target = await store.start({ batch_wait_limit_seconds: 0.05 });
    target.write([declare("silent"), record("silent", { id: 1 })]);
    // The test awaits each answer, so only the test's own timeout limits it.
    while ((await store.ids("silent")).length === 0);
    target.write([record("silent", { id: 2 })]);
    assert.equal((await target.end()).code, 0);
    assert.deepEqual(await store.ids("silent"), ["1", "2"]);
  });

  await Promise.all(tests);
});

test("a batch ends at its limit of records or bytes, and a larger record is sent alone", async (t) => {
  const store = await startStore(t);
  const requests = async () =>
    (await store.tidemark.listSyncs({ limit: 100 })).data.map(({ results }) => results.upserted);
  const small = [1, 2, 3, 4, 5].map((id) => record("cut", { id }));
  assert.equal((await store.runHere([declare("cut"), ...small], { batch_size_rows: 2 })).code, 0);
  assert.deepEqual(await requests(), [1, 2, 2]);
  const large = record("cut", { id: 6, text: "x".repeat(1000) });
  const lines = [declare("cut"), ...small, large, ...small];
  assert.equal((await store.runHere(lines, { batch_size_bytes: 600 })).code, 0);
  assert.deepEqual((await requests()).slice(0, -3), [5, 1, 5]);
});

test("a server that stops ends the run with code 3, without a STATE after unsaved records", async (t) => {
  const store = await startStore(t);
  const target = await store.start({ retries: 1, batch_wait_limit_seconds: 0.05 });
  target.write([declare("away"), record("away", { id: 1 }), state("taken")]);
  assert.equal(await target.nextState(), '"taken"');
  await store.server.end("SIGKILL");
  // The input stays open: a silent tap must not hide the failure.
  target.write([record("away", { id: 2 }), state("not taken")]);
  const { code, states, errors } = await target.ended;
  assert.deepEqual([code, states], [3, ['"taken"']]);
  assert.match(errors.join("\n"), /^target-tidemark: error: CONNECTION_FAILED/);
});
