import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as publication from "../../src/indexing/plan-publication.ts";
import type { RecordVersion } from "../../src/storage/index-port.ts";
import type { RecordRow } from "../../src/storage/port.ts";

const CURRENT = 1;
/** The generation of a refresh that is not applied. */
const RUN = 2;

/** A row of the record `tasks/a`, unless `members` name another record. */
function row(version: number | null, indexed: number | null, members: Partial<RecordRow> = {}): RecordRow {
  return {
    namespace: "tasks",
    id: "a",
    generation: CURRENT,
    carriedIn: null,
    alsoCarriedIn: null,
    decidedAt: null,
    version,
    hash: version === null ? null : `${version}`,
    fingerprint: null,
    writtenAt: 0,
    indexed,
    ...members,
  };
}

const planPublication = (entries: RecordVersion[], rows: RecordRow[]) =>
  publication.planPublication(entries, rows, ({ generation }) => generation === CURRENT);

const entry = (version: number, id = "a", namespace = "tasks"): RecordVersion => ({ namespace, id, version });

/** The publication of entries, with rows by their generation. */
function plan(entries: RecordVersion[], rows: RecordRow[]) {
  const { publish, indexed, drop } = planPublication(entries, rows);
  return {
    publish: [...publish],
    indexed: indexed.map((row) => [row.generation, row.indexed]),
    drop: drop.map(({ version }) => version),
  };
}

/** The rows after a publication. */
function apply(entries: RecordVersion[], rows: RecordRow[]): RecordRow[] {
  const { indexed } = planPublication(entries, rows);
  const keyOf = ({ namespace, id, generation }: RecordRow) => JSON.stringify([namespace, id, generation]);
  const changed = new Map(indexed.map((row) => [keyOf(row), row]));
  return rows.map((row) => changed.get(keyOf(row)) ?? row);
}

describe("a prepared version", () => {
  test("is the one by which a new record is found", () => {
    const expected = { publish: [5], indexed: [[CURRENT, 5]], drop: [] };
    assert.deepEqual(plan([entry(5)], [row(5, null)]), expected);
  });

  test("replaces the version by which the record was found, which is dropped in the same step", () => {
    const expected = { publish: [9], indexed: [[CURRENT, 9]], drop: [5] };
    assert.deepEqual(plan([entry(9)], [row(9, 5)]), expected);
  });

  test("is left out if the record has a newer version by now", () => {
    assert.deepEqual(plan([entry(5)], [row(9, null)]), { publish: [], indexed: [], drop: [5] });
  });

  test("stays while the record is found by it, even if a newer version waits", () => {
    assert.deepEqual(plan([entry(5)], [row(9, 5)]), { publish: [], indexed: [], drop: [] });
  });

  test("does not bring a deleted record back", () => {
    const nothing = { publish: [], indexed: [], drop: [5] };
    assert.deepEqual(plan([entry(5)], [row(null, null)]), nothing, "a tombstone");
    assert.deepEqual(plan([entry(5)], []), nothing, "no row at all");
  });

  test("of a record that was deleted and created again is not taken for the new version", () => {
    const expected = { publish: [9], indexed: [[CURRENT, 9]], drop: [5] };
    assert.deepEqual(plan([entry(5), entry(9)], [row(9, null)]), expected);
  });

  test("changes nothing if it is published a second time", () => {
    const entries = [entry(5), entry(9)];
    const rows = apply(entries, [row(9, 5)]);
    assert.deepEqual(plan([entry(9)], rows), { publish: [], indexed: [], drop: [] });
  });

  test("is published once if the batch also has an older version of the record, in either order", () => {
    for (const entries of [
      [entry(5), entry(9)],
      [entry(9), entry(5)],
    ]) {
      const { drop, ...rest } = plan(entries, [row(9, 5)]);
      assert.deepEqual(rest, { publish: [9], indexed: [[CURRENT, 9]] });
      assert.deepEqual([...new Set(drop)], [5]);
    }
  });

  test("concerns its own record only, whatever the names have in common", () => {
    const rows = [row(9, 5, { namespace: "ab", id: "c" }), row(6, null, { namespace: "a", id: "bc" })];
    const { publish, indexed, drop } = planPublication([entry(6, "bc", "a"), entry(5, "b", "ab")], rows);
    assert.deepEqual([...publish], [6]);
    assert.deepEqual(indexed, [{ ...rows[1]!, indexed: 6 }]);
    assert.deepEqual(drop, [entry(5, "b", "ab")]);
  });
});

describe("a version that an open run has staged", () => {
  test("is published before the refresh is applied, while the record stays found by its current version", () => {
    const rows = [row(5, 5), row(9, 5, { generation: RUN })];
    assert.deepEqual(plan([entry(9)], rows), { publish: [9], indexed: [[RUN, 9]], drop: [] });
  });

  test("that the record already has is found in both rows", () => {
    const rows = [row(5, null), row(5, null, { generation: RUN })];
    const expected = {
      publish: [5],
      indexed: [
        [CURRENT, 5],
        [RUN, 5],
      ],
      drop: [],
    };
    assert.deepEqual(plan([entry(5)], rows), expected);
  });

  test("is found by the current version until its own is indexed, so that applying it never restores an older text", () => {
    const waits = row(9, null, { generation: RUN });
    const followed = {
      publish: [5],
      indexed: [
        [CURRENT, 5],
        [RUN, 5],
      ],
      drop: [],
    };
    assert.deepEqual(plan([entry(5)], [row(5, null), waits]), followed, "a new record");
    const older = plan([entry(5)], [row(5, 3), { ...waits, indexed: 3 }]);
    assert.deepEqual(older, { ...followed, drop: [3] }, "an updated one");
    for (const entries of [
      [entry(5), entry(9)],
      [entry(9), entry(5)],
    ]) {
      const after = apply(entries, [row(5, 3), { ...waits, indexed: 3 }]);
      assert.deepEqual(
        after.map(({ indexed }) => indexed),
        [5, 9],
      );
    }
    for (const other of [row(9, 9, { generation: RUN }), row(null, null, { generation: RUN })]) {
      assert.deepEqual(plan([entry(5)], [row(5, null), other]).indexed, [[CURRENT, 5]]);
    }
    assert.deepEqual(plan([entry(9)], [row(5, null), { ...waits, indexed: null }]).indexed, [[RUN, 9]]);
  });

  test("replaces the earlier version once no row is found by that", () => {
    const before = [row(5, 5), row(9, 5, { generation: RUN })];
    const [, applied] = apply([entry(9)], before);
    // After applying, the current row is gone, and the sweep enqueues its version.
    assert.deepEqual(plan([entry(5)], [applied!]), { publish: [], indexed: [], drop: [5] });
  });

  test("is dropped if the refresh is aborted", () => {
    assert.deepEqual(plan([entry(9)], [row(5, 5)]), { publish: [], indexed: [], drop: [9] });
  });
});

test("for all rows of a record, found versions stay, all others are dropped, and a row is found by its own or the current version", () => {
  const version = fc.integer({ min: 1, max: 4 });
  const maybe = fc.option(version, { nil: null });
  const rows = fc
    .array(fc.record({ version: maybe, indexed: maybe }), { maxLength: 3 })
    .map((list) => list.map(({ version, indexed }, generation) => row(version, indexed, { generation })));
  const entries = fc
    .uniqueArray(version, { maxLength: 4 })
    .map((versions) => versions.map((version) => entry(version)));
  fc.assert(
    fc.property(rows, entries, (rows, entries) => {
      const { publish, drop } = planPublication(entries, rows);
      const after = apply(entries, rows);
      const foundBy = (rows: RecordRow[]) => new Set(rows.flatMap(({ indexed }) => indexed ?? []));
      const gone = new Set(drop.map(({ version }) => version));
      const queued = new Set(entries.map(({ version }) => version));
      for (const version of foundBy(after)) {
        // Published chunks are added after the old ones are dropped.
        assert.ok(publish.has(version) || !gone.has(version), `${version} is needed`);
      }
      for (const version of [...queued, ...foundBy(rows)]) {
        assert.ok(
          foundBy(after).has(version) || gone.has(version),
          `${version} is neither found nor dropped`,
        );
      }
      for (const [index, { version, indexed }] of after.entries()) {
        const before = rows[index]!.indexed;
        const isNews = version !== null && queued.has(version) && before !== version;
        const shown = rows[CURRENT]?.version ?? null;
        const follows = version !== null && version !== before && shown !== null && queued.has(shown);
        assert.equal(indexed, isNews ? version : follows ? shown : before);
        if (isNews) assert.ok(publish.has(version));
      }
      for (const version of publish) assert.ok(queued.has(version) && foundBy(after).has(version));
    }),
  );
});
