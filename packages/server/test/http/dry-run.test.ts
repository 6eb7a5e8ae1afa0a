import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assertError, assertFieldError } from "./error-answer.ts";
import {
  at,
  changes,
  invalid,
  type Refresher,
  remove,
  startRefresher,
  upserts,
} from "./staged-refresh-client.ts";

const refresh = { sync_mode: "full_refresh", sync_timestamp: at(31) };

/** Plans a sync, asserts that the dry run stored nothing, applies the sync, and compares both answers. */
async function planAndApply(refresher: Refresher, fields: Record<string, unknown>) {
  const before = await refresher.rows();
  const planned = await refresher.sync({ ...fields, dry_run: true });
  assert.equal(planned.status, 200, JSON.stringify(planned.body));
  assert.deepEqual(await refresher.rows(), before, "a dry run stores nothing");
  const applied = await refresher.sync({ ...fields, dry_run: false });
  const { samples, processing_time_ms: _, ...plan } = planned.body;
  const { status, sync_id, processing_time_ms: __, ...result } = applied.body;
  assert.deepEqual(plan, { status: "planned", sync_id: null, ...result });
  assert.match(sync_id, /^sync_/);
  assert.equal("samples" in applied.body, false);
  assert.deepEqual(Object.keys(samples), [
    "created",
    "updated",
    "unchanged",
    "removed",
    "absent",
    "stale",
    "cleared",
  ]);
  for (const [kind, ids] of Object.entries(samples as Record<string, string[]>)) {
    assert.equal(new Set(ids).size, Math.min(20, result.changes[kind]), `samples of ${kind}`);
    assert.equal(ids.length, new Set(ids).size);
  }
  return { samples: samples as Record<string, string[]>, changes: result.changes, status };
}

const idsOf = (from: number, to: number) => new Set(upserts(from, to).map(({ id }) => id));
const subset = (ids: string[], allowed: Set<string>) =>
  assert.deepEqual(
    ids.filter((id) => !allowed.has(id)),
    [],
  );

describe("a dry run", () => {
  test("of an incremental sync reports the same changes as the sync, with samples", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 100) });
    await refresher.sync({ sync_timestamp: at(40), operations: upserts(100, 130) });
    const operations = [
      ...upserts(0, 30, { v: 1 }),
      ...upserts(30, 60),
      ...upserts(60, 85).map(({ id }) => remove(id)),
      ...upserts(300, 325).map(({ id }) => remove(id)),
      ...upserts(100, 125),
      ...upserts(200, 225),
      ...upserts(500, 503, {}, "other"),
      ...upserts(0, 1, { v: 2 }),
    ];
    const { samples, changes: counts } = await planAndApply(refresher, { operations });
    assert.deepEqual(
      counts,
      changes({ created: 28, updated: 30, unchanged: 30, removed: 25, absent: 25, stale: 25, superseded: 1 }),
    );
    subset(samples.updated!, idsOf(0, 30));
    subset(samples.unchanged!, idsOf(30, 60));
    subset(samples.removed!, idsOf(60, 85));
    subset(samples.absent!, idsOf(300, 325));
    subset(samples.stale!, idsOf(100, 125));
    subset(samples.created!, new Set([...idsOf(200, 225), ...idsOf(500, 503)]));
  });

  test("of a full refresh in one request includes samples of cleared records", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: [...upserts(0, 100), ...upserts(0, 3, {}, "other")] });
    await refresher.sync({ sync_timestamp: at(32), operations: upserts(90, 95) });
    const fields = {
      ...refresh,
      operations: [...upserts(0, 50), remove("r50"), invalid("r51"), invalid("r999")],
    };
    const {
      samples,
      changes: counts,
      status,
    } = await planAndApply(refresher, {
      ...fields,
      namespaces: ["other"],
      on_error: "continue",
    });
    assert.equal(status, "partial");
    assert.deepEqual(counts, changes({ unchanged: 50, removed: 1, cleared: 46 }));
    subset(samples.cleared!, new Set([...idsOf(52, 90), ...idsOf(95, 100), ...idsOf(0, 3)]));
  });

  test("of a last batch plans the whole run", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 100) });
    await refresher.sync({ sync_timestamp: at(32), operations: upserts(200, 225) });
    await refresher.stage([...upserts(0, 30, { v: 1 }), ...upserts(30, 40), ...upserts(100, 140)]);
    const removes = [...upserts(70, 75), ...upserts(300, 302)].map(({ id }) => remove(id));
    await refresher.stage([...upserts(200, 225), ...removes, ...upserts(39, 40, { v: 1 }), invalid("r99")], {
      on_error: "continue",
    });
    const { samples, changes: counts } = await planAndApply(refresher, {
      ...refresh,
      operations: [...upserts(40, 60), ...upserts(0, 1), ...upserts(200, 201), remove("r100")],
      expected_operations: 137,
    });
    assert.deepEqual(
      counts,
      changes({
        created: 39,
        updated: 30,
        unchanged: 30,
        removed: 5,
        absent: 3,
        stale: 25,
        superseded: 4,
        cleared: 34,
      }),
    );
    subset(samples.created!, idsOf(101, 140));
    subset(samples.updated!, new Set([...idsOf(1, 30), "r39"]));
    subset(samples.unchanged!, new Set([...idsOf(30, 39), ...idsOf(40, 60), "r0"]));
    subset(samples.removed!, idsOf(70, 75));
    subset(samples.absent!, new Set(["r100", "r300", "r301"]));
    subset(samples.stale!, idsOf(200, 225));
    subset(samples.cleared!, new Set([...idsOf(60, 70), ...idsOf(75, 99)]));
  });

  test("of a refresh without namespaces returns the same warning as the refresh", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 3) });
    const planned = await refresher.refresh({ operations: [], dry_run: true });
    const applied = await refresher.refresh({ operations: [] });
    assert.equal(planned.body.warnings.length, 1);
    assert.deepEqual(planned.body.warnings, applied.body.warnings);
    assert.ok((await refresher.contents()).r0);
  });

  test("is rejected with the same error as the sync", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.refresh({ sync_timestamp: at(40), operations: upserts(0, 10) });
    await refresher.stage(upserts(0, 3), { sync_timestamp: at(45) });
    const before = await refresher.rows();
    const rejected: [fields: Record<string, unknown>, code: string][] = [
      [{ operations: upserts(0, 1) }, "STALE_SYNC"],
      [{ sync_timestamp: at(45), operations: [], expected_operations: 4 }, "INCOMPLETE_REFRESH"],
      [{ sync_timestamp: at(45), operations: [], removal_limit: 6 }, "REMOVAL_LIMIT_EXCEEDED"],
      [
        { sync_mode: "incremental", sync_timestamp: at(45), operations: [remove("r0")], removal_limit: 0 },
        "REMOVAL_LIMIT_EXCEEDED",
      ],
      [{ sync_timestamp: "2025-11-11T12:05:00.000000001Z", operations: [] }, "VALIDATION_ERROR"],
      [{ operations: [{ action: "upsert" }] }, "VALIDATION_ERROR"],
    ];
    for (const [fields, code] of rejected) {
      const planned = assertError(await refresher.refresh({ ...fields, dry_run: true }), code);
      assert.deepEqual(await refresher.rows(), before);
      assert.deepEqual(assertError(await refresher.refresh(fields), code), planned);
      assert.deepEqual(await refresher.rows(), before);
    }
  });

  test("is rejected for a part, and must be a boolean", async (t) => {
    const refresher = await startRefresher(t);
    const before = await refresher.rows();
    const part = { operations: upserts(0, 1), last_batch: false, dry_run: true };
    assertFieldError(await refresher.refresh(part), "dry_run", "NOT_ALLOWED");
    assertFieldError(await refresher.sync({ operations: [], dry_run: "yes" }), "dry_run", "INVALID_TYPE");
    assert.deepEqual(await refresher.rows(), before);
  });

  test("with an Idempotency-Key neither saves nor replays an answer", async (t) => {
    const refresher = await startRefresher(t);
    const key = { "idempotency-key": "one" };
    const fields = { operations: upserts(0, 1) };
    const planned = await refresher.syncText({ ...fields, dry_run: true }, key);
    const applied = await refresher.syncText(fields, key);
    assert.deepEqual(
      [planned.body.status, applied.body.status, applied.replayed],
      ["planned", "success", null],
    );
    const secondPlan = await refresher.syncText({ ...fields, dry_run: true }, key);
    assert.deepEqual([secondPlan.body.status, secondPlan.replayed], ["planned", null]);
    assert.deepEqual(secondPlan.body.changes, changes({ unchanged: 1 }));
  });
});
