import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Commands } from "../../src/commands.ts";
import { engines } from "../engines.ts";
import { openTestLedger, type TestStore } from "../test-ledger.ts";

/** The commands, besides syncs, that change a store's records. */
const LOCKED: Record<string, (commands: Commands, store: TestStore) => Promise<unknown>> = {
  retryFailed: (commands, { organizationId, storeId }) =>
    commands.retryFailed(organizationId, storeId, { namespace: null, id: null }),
  abortRefresh: async (commands, { organizationId, storeId }) => {
    const { data } = await commands.listRefreshes(organizationId, storeId, {}, null);
    return commands.abortRefresh(organizationId, storeId, data[0]!.id, null);
  },
};

for (const engine of engines) {
  describe(`${engine.name}: the store lock`, () => {
    for (const [name, run] of Object.entries(LOCKED)) {
      test(`${name} waits for a sync of its store, and reads do not`, async (t) => {
        const { storage, commands, createStore } = await openTestLedger(t, engine);
        const store = await createStore();
        await store.sync({ sync_mode: "full_refresh", namespaces: ["tasks"], last_batch: false });
        const order: string[] = [];
        const begun = Promise.withResolvers<void>();
        const gate = Promise.withResolvers<void>();
        const sync = storage.ledger(store.storeId, async (tx) => {
          await tx.nextRevision();
          begun.resolve();
          await gate.promise;
          order.push("sync");
        });
        await begun.promise;
        const ran = run(commands, store).then(() => order.push(name));
        for (let read = 0; read < 20; read++)
          await commands.listRefreshes(store.organizationId, store.storeId, {}, null);
        order.push("reads");
        gate.resolve();
        await Promise.all([sync, ran]);
        assert.deepEqual(order, ["reads", "sync", name]);
      });
    }
  });
}
