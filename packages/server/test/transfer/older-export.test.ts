import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { verifyStore } from "../../src/browse/verify.ts";
import { engines } from "../engines.ts";
import { storeOf } from "../test-ledger.ts";
import { exportToBuffer, OPEN_RUN, openTarget } from "./rich-ledger.ts";

/** A store with rows of every kind, as the last version with schema 2 exported it: some names were others then. */
const OLDER = readFileSync(new URL("./schema-2.export", import.meta.url));

const linesOf = (bytes: Buffer) => bytes.toString().trimEnd().split("\n");
/** The rows, without the lines between them, which name tables and columns. */
const rowsOf = (bytes: Buffer) => linesOf(bytes).filter((line) => line.startsWith("["));

for (const engine of engines) {
  test(`${engine.name}: an export of schema 2 is imported with every row, and its open run goes on`, async (t) => {
    const target = await openTarget(t, engine);
    const header = JSON.parse(linesOf(OLDER)[0]!);
    assert.deepEqual([header.schema, header.tables.refresh_run_marks.length], [2, 4]);
    await target.import(OLDER);
    assert.deepEqual(rowsOf(await exportToBuffer(target.storage)), rowsOf(OLDER));

    const [storeId, connectorId] = [header.stores[0], header.connectors[0]];
    const organizationId = header.organizations[0].id;
    const store = storeOf(target.commands, { organizationId, storeId, connectorId, key: "" });
    const last = await store.sync({ ...OPEN_RUN, operations: [], expected_operations: 6 });
    const { unchanged, created, stale } = last.changes;
    assert.deepEqual([unchanged, created, stale], [1, 2, 1]);
    for (const { digest, counted_digest } of await target.storage.read((sql) => verifyStore(sql, storeId))) {
      assert.equal(digest, counted_digest);
    }
  });
}
