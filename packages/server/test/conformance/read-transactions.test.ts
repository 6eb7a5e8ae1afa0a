import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { engines } from "../engines.ts";
import { openTestLedger } from "../test-ledger.ts";

for (const engine of engines) {
  describe(`${engine.name}: a read transaction`, () => {
    for (const read of ["read", "readSlowly"] as const) {
      test(`of ${read} rejects writes, and changes nothing`, async (t) => {
        const { storage, createStore } = await openTestLedger(t, engine);
        const { organizationId } = await createStore();
        const organizations = () => storage.read((sql) => sql.all("SELECT id, name FROM organizations"));
        const before = await organizations();

        for (const statement of [
          "INSERT INTO organizations (id, name, created_at) VALUES ($1, 'Another', 1)",
          "UPDATE organizations SET name = 'Renamed' WHERE id <> $1",
          "DELETE FROM api_keys WHERE id <> $1",
        ]) {
          await assert.rejects(
            storage[read]((sql) => sql.all(statement, ["org_x"])),
            ({ cause }: Error) => /read-?only/.test((cause as Error).message),
            statement,
          );
          // A caller that ignores the error writes nothing either.
          await storage[read]((sql) => sql.all(statement, ["org_x"]).catch(() => [])).catch(() => {});
        }

        assert.deepEqual(await organizations(), before);
        assert.equal((await storage.read((sql) => sql.all("SELECT id FROM api_keys"))).length, 1);
        await storage.write((sql) =>
          sql.all("UPDATE organizations SET name = 'Renamed' WHERE id = $1", [organizationId]),
        );
        assert.equal((await organizations())[0]!.name, "Renamed", "a write is still possible");
      });
    }

    test("sees one snapshot, whatever is committed meanwhile", async (t) => {
      const { storage } = await openTestLedger(t, engine);
      const count = "SELECT count(*) AS count FROM organizations";
      const insert = "INSERT INTO organizations (id, name, created_at) VALUES ('org_x', 'X', 1)";
      for (const read of ["read", "readSlowly"] as const) {
        const seen = await storage[read](async (sql) => {
          const first = await sql.all(count);
          await storage.write((other) => other.all(read === "read" ? insert : "DELETE FROM organizations"));
          return [...first, ...(await sql.all(count))].map((row) => row.count);
        });
        assert.equal(seen[0], seen[1]);
      }
    });
  });
}
