import assert from "node:assert/strict";
import { test } from "node:test";
import { activate, type Line, record, schema, startStore, state } from "./target-process.ts";

const properties = { id: { type: "integer" }, n: { type: "integer" } };

/** Makes records of a version with these ids. */
const rows = (stream: string, version: unknown, ids: number[], n = 0): Line[] =>
  ids.map((id) => record(stream, { id, n }, version === undefined ? {} : { version }));

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

// A version need not be the time of its run.
const V1 = 1_700_000_000_001;
const V2 = 1_700_000_000_002;

test("ACTIVATE_VERSION", { concurrency: 2 }, async (t) => {
  const store = await startStore(t);
  const run = async (lines: Line[], settings?: object) => {
    const result = await store.runHere(lines, settings);
    assert.equal(result.code, 0, result.errors.join("\n"));
    return result;
  };
  const tests: Promise<void>[] = [];
  /** Runs a subtest with its own stream, so that subtests can run in parallel. */
  const check = (name: string, body: (stream: string, declare: Line) => Promise<void>) => {
    const stream = name.replaceAll(" ", "_").slice(0, 60);
    tests.push(t.test(name, () => body(stream, schema(stream, properties))));
  };

  check("after its records removes the records of older versions", async (s, declare) => {
    await run([declare, ...rows(s, V1, [1, 2, 3]), activate(s, V1), state(1)]);
    assert.deepEqual(await store.ids(s), ["1", "2", "3"]);
    const { states } = await run([declare, ...rows(s, V2, [2, 4]), activate(s, V2), state(2)]);
    assert.deepEqual(await store.ids(s), ["2", "4"]);
    assert.deepEqual(states, ["2"]);
    const { data } = await store.tidemark.listSyncs({ sync_mode: "full_refresh", limit: 100 });
    const own = data.filter(({ by_namespace }) => s in by_namespace);
    assert.equal(own.length, 2, "a table that was read in one go needs no mark");
  });

  check("works with version numbers that are not times", async (s, declare) => {
    await run([declare, ...rows(s, 1, [1, 2]), activate(s, 1)]);
    await run([declare, ...rows(s, 2, [2]), activate(s, 2)]);
    assert.deepEqual(await store.ids(s), ["2"]);
  });

  check("of a version that begins now removes records without a version", async (s, declare) => {
    await run([declare, ...rows(s, undefined, [1, 2])]);
    const now = Date.now();
    await run([declare, ...rows(s, now, [2, 3]), activate(s, now)]);
    assert.deepEqual(await store.ids(s), ["2", "3"]);
  });

  check("at the start of the first run removes nothing", async (s, declare) => {
    await run([declare, ...rows(s, undefined, [1])]);
    await run([declare, activate(s, Date.now()), ...rows(s, Date.now(), [2]), state(1)]);
    assert.deepEqual(await store.ids(s), ["1", "2"]);
  });

  check("at the start and the end of the first run keeps all records", async (s, declare) => {
    const version = Date.now();
    await run([declare, activate(s, version), ...rows(s, version, [1, 2]), activate(s, version), state(1)]);
    assert.deepEqual(await store.ids(s), ["1", "2"]);
  });

  check("of the same version at the start of every run removes nothing", async (s, declare) => {
    await run([declare, activate(s, V1), ...rows(s, V1, [1, 2]), state(1)]);
    await run([declare, activate(s, V1), ...rows(s, V1, [3]), state(2)]);
    await run([declare, activate(s, V1), state(3)]);
    assert.deepEqual(await store.ids(s), ["1", "2", "3"]);
  });

  check("of a new version at the start takes effect at the end of the input", async (s, declare) => {
    await run([declare, activate(s, V1), ...rows(s, V1, [1, 2, 3]), state(1)]);
    await run([declare, activate(s, V2), ...rows(s, V2, [2]), state(2)]);
    assert.deepEqual(await store.ids(s), ["2"]);
  });

  check(
    "of a new version at the start waits for a later run if no STATE came after it",
    async (s, declare) => {
      await run([declare, activate(s, V1), ...rows(s, V1, [1, 2, 3]), state(1)]);
      // This tap failed before it finished.
      await run([declare, activate(s, V2), ...rows(s, V2, [2]), state(2), ...rows(s, V2, [4])]);
      assert.deepEqual(await store.ids(s), ["1", "2", "3", "4"]);
      await run([declare, activate(s, V2), ...rows(s, V2, [5]), state(3)]);
      assert.deepEqual(await store.ids(s), ["2", "4", "5"]);
    },
  );

  check("of a new version without records empties the stream", async (s, declare) => {
    await run([declare, ...rows(s, V1, [1, 2]), activate(s, V1), state(1)]);
    await run([declare, activate(s, V2), state(2)]);
    assert.deepEqual(await store.ids(s), []);
  });

  check(
    "of a new version after records without a version keeps the records of this run",
    async (s, declare) => {
      await run([declare, ...rows(s, undefined, [1, 2]), activate(s, V1), state(1)]);
      await run([declare, ...rows(s, undefined, [2, 3]), activate(s, V2), state(2)]);
      assert.deepEqual(await store.ids(s), ["2", "3"]);
    },
  );

  check("takes effect for each of two versions in one input", async (s, declare) => {
    await run([
      ...[declare, ...rows(s, V1, [1, 2]), activate(s, V1), state(1)],
      ...[...rows(s, V2, [2, 3]), activate(s, V2), state(2)],
    ]);
    assert.deepEqual(await store.ids(s), ["2", "3"]);
  });

  check("of an older version has no effect but a warning", async (s, declare) => {
    const { errors } = await run([declare, ...rows(s, V2, [1]), activate(s, V1), activate(s, V2), state(1)]);
    assert.deepEqual(await store.ids(s), ["1"]);
    assert.match(errors.join("\n"), /warning: Stream ".*" went back to an older version/);
  });

  check(
    "of an older version in a later run has no effect: an abandoned new version removes nothing",
    async (s, declare) => {
      await run([declare, activate(s, V1), ...rows(s, V1, [1, 2, 3]), state(1)]);
      await run([declare, activate(s, V2), ...rows(s, V2, [1]), state(2), ...rows(s, V2, [2])]);
      const { errors } = await run([declare, activate(s, V1), ...rows(s, V1, [4]), state(3)]);
      assert.deepEqual(await store.ids(s), ["1", "2", "3", "4"]);
      assert.match(errors.join("\n"), /warning: Stream ".*" went back to an older version/);
    },
  );

  check("has no effect on other streams", async (s, declare) => {
    const other = `${s}_other`;
    await run([declare, schema(other, properties), ...rows(s, V1, [1]), ...rows(other, V1, [1])]);
    await run([
      declare,
      schema(other, properties),
      ...rows(other, V2, [9]),
      ...rows(s, V2, [2]),
      activate(s, V2),
    ]);
    assert.deepEqual([await store.ids(s), await store.ids(other)], [["2"], ["1", "9"]]);
  });

  check("is ignored if the settings turn it off", async (s, declare) => {
    const off = { process_activate_version_messages: false };
    await run([declare, ...rows(s, V1, [1]), activate(s, V1)], off);
    await run([declare, ...rows(s, V2, [2]), activate(s, V2)], off);
    assert.deepEqual(await store.ids(s), ["1", "2"]);
  });

  check("keeps the records of the same version from an earlier run", async (s, declare) => {
    await run([declare, ...rows(s, V1, range(0, 10)), activate(s, V1), state("v1")]);
    const first = await store.start({ batch_size_rows: 3 });
    first.write([declare, ...rows(s, V2, [0, 1, 2], 2), state("half")]);
    assert.equal(await first.nextState(), '"half"');
    await first.kill();
    assert.equal((await store.ids(s)).length, 10, "nothing is removed before the activation");
    await run([declare, ...rows(s, V2, [3, 4], 2), activate(s, V2), state("v2")]);
    assert.deepEqual(
      await store.contents(s),
      Object.fromEntries(range(0, 5).map((id) => [id, { id, n: 2 }])),
    );
  });

  check("keeps them even if the server has forgotten the version's staged refresh", async (s, declare) => {
    await run([declare, ...rows(s, V1, range(0, 10)), activate(s, V1), state("v1")]);
    await run([declare, ...rows(s, V2, [0, 1, 2], 2), state("half")]);
    const { data } = await store.tidemark.listRefreshes({ limit: 100 });
    const mark = data.find(({ namespaces }) => namespaces.includes(s));
    await store.tidemark.abortRefresh(mark!.id);
    await run([declare, ...rows(s, V2, [3], 2), activate(s, V2), state("v2")]);
    assert.deepEqual(await store.ids(s), ["0", "1", "2", "3"]);
  });

  check("takes effect before the STATE after it, whenever the process is killed", async (s, declare) => {
    await run([declare, ...rows(s, V1, [1, 2, 3]), activate(s, V1), state("v1")]);
    const target = await store.start();
    target.write([declare, ...rows(s, V2, [3]), activate(s, V2), state("v2"), ...rows(s, V2, [4])]);
    assert.equal(await target.nextState(), '"v2"');
    await target.kill();
    assert.deepEqual(await store.ids(s), ["3"]);
  });

  check(
    "that would remove more than half of many records fails, and the target prints no STATE after it",
    async (s, declare) => {
      await run([declare, ...rows(s, V1, range(0, 101)), activate(s, V1), state("v1")]);
      const lines = [declare, state("before"), ...rows(s, V2, range(0, 50)), activate(s, V2), state("after")];
      const refused = await store.runHere(lines);
      assert.equal(refused.code, 2);
      assert.deepEqual(refused.states, ['"before"']);
      assert.match(
        refused.errors.join("\n"),
        /stream "that_would.*would remove 51 of 101 records, more than removal_limit/,
      );
      assert.equal((await store.ids(s)).length, 101);
      await run(lines, { removal_limit: "60%" });
      assert.equal((await store.ids(s)).length, 50);
    },
  );

  check("may remove any number if there are few records or no limit", async (s, declare) => {
    await run([declare, ...rows(s, V1, range(0, 100)), activate(s, V1)]);
    await run([declare, ...rows(s, V2, [1]), activate(s, V2)]);
    assert.deepEqual(await store.ids(s), ["1"]);
    await run([declare, ...rows(s, V2 + 1, range(0, 150)), activate(s, V2 + 1)]);
    await run([declare, ...rows(s, V2 + 2, [7]), activate(s, V2 + 2)], { removal_limit: "none" });
    assert.deepEqual(await store.ids(s), ["7"]);
  });

  await Promise.all(tests);
});
