import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { RunClock } from "../src/clock.ts";
import { record, schema, startStore, state } from "./target-process.ts";

test("a run uses the server's clock if the local one is wrong", async (t) => {
  const store = await startStore(t);
  const real = Date.now;
  const hour = 3_600_000;
  for (const [n, ahead] of [0, -hour, hour, 0].entries()) {
    const wrong = mock.method(Date, "now", () => real() + ahead);
    const lines = [schema("s", { id: { type: "integer" } }), record("s", { id: 1, n }), state(n)];
    const { code, errors } = await store.runHere(lines);
    wrong.mock.restore();
    assert.equal(code, 0, errors.join("\n"));
    assert.deepEqual(await store.contents("s"), { 1: { id: 1, n } });
  }
});

test("a run is newer than the connector's last sync, whatever the server's clock says", () => {
  const clock = new RunClock();
  clock.follow("2025-11-11T10:00:00Z", "2025-11-11T10:00:05.123999999Z");
  assert.equal(clock.now(), "2025-11-11T10:00:05.125Z");
  assert.equal(clock.before(), "2025-11-11T10:00:05.124999999Z");
  clock.follow("2025-11-11T10:00:06Z", undefined);
  assert.equal(clock.now(), "2025-11-11T10:00:06.000Z");
});
