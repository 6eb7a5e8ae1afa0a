import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOf, type SourceRecord } from "@tidemark/client";
import { engines } from "../engines.ts";
import { runTidemark } from "../server-process.ts";
import { at, remove, startRefresher, upserts } from "./staged-refresh-client.ts";

for (const engine of engines) {
  test(`${engine.name}: sync, namespaces, tidemark verify and the source have the same digest`, async (t) => {
    const databaseUrl = await engine.createDatabase(t);
    const refresher = await startRefresher(t, { databaseUrl });
    const { sync, refresh, stage, get, tenant } = refresher;
    /** The expected records, updated with every sync. */
    const source = new Map<string, object>();
    const apply = (operations: { action: string; id: string; data?: object }[]) => {
      for (const { action, id, data } of operations) {
        if (action === "upsert") source.set(id, data!);
        else source.delete(id);
      }
      return operations;
    };
    const sourceDigest = () =>
      digestOf([...source].map(([id, data]): SourceRecord => ({ id, data: { ...data } })));

    const first = await sync({ operations: apply([...upserts(0, 300, { v: 0 }), remove("r7")]) });
    assert.deepEqual(first.body.digests, { tasks: await sourceDigest() });
    const before = await sourceDigest();
    await sync({ sync_timestamp: at(40), operations: apply(upserts(1000, 1010, { newer: true })) });
    const parts = [upserts(100, 400, { v: 0 }), upserts(400, 700, { v: 1 }), upserts(350, 450, { v: 2 })];
    await stage(parts[0]!);
    await stage(parts[1]!);
    const listed = async () =>
      (await get("/namespaces")).body.data.map((namespace: Record<string, unknown>) => [
        namespace.namespace,
        namespace.records,
        namespace.digest,
      ]);
    assert.deepEqual(await listed(), [["tasks", source.size, await sourceDigest()]]);
    assert.notEqual(await sourceDigest(), before);

    const newer = [...source].filter(([id]) => Number(id.slice(1)) >= 1000);
    source.clear();
    for (const [id, data] of newer) source.set(id, data);
    for (const part of parts) apply(part);
    const applied = await refresh({ operations: parts[2] });
    assert.deepEqual(applied.body.digests, { tasks: await sourceDigest() });
    assert.deepEqual(await listed(), [["tasks", source.size, await sourceDigest()]]);

    const { code, stdout } = await runTidemark(["verify", "--json"], { TIDEMARK_DATABASE_URL: databaseUrl });
    const digest = await sourceDigest();
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), [
      {
        vector_store_id: tenant.storeId,
        namespaces: [
          {
            namespace: "tasks",
            records: source.size,
            digest,
            counted_records: source.size,
            counted_digest: digest,
            in_sync: true,
          },
        ],
      },
    ]);
  });
}
