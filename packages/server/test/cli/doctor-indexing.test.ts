import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openCommands } from "../../src/commands.ts";
import { readConfig } from "../../src/config.ts";
import type { Finding } from "../../src/storage/finding.ts";
import { faults, startEmbeddingsServer } from "../embeddings-server.ts";
import { engines } from "../engines.ts";
import { type Environment, runTidemark } from "../server-process.ts";
import { openTestLedger } from "../test-ledger.ts";
import { indexAll } from "../test-server.ts";

const upsert = (id: string) => ({ action: "upsert", id, namespace: "tasks", data: { text: id } });

/** The findings of `tidemark doctor --json` about indexes and embeddings, by check. */
async function runDoctor(settings: Environment) {
  const { code, stdout } = await runTidemark(["doctor", "--json"], settings);
  const checks = JSON.parse(stdout).checks as Finding[];
  const found = Object.fromEntries(checks.map((finding) => [finding.check, finding]));
  for (const check of ["index", "failed records", "index model", "embeddings"]) {
    const { status, advice } = found[check]!;
    assert.equal(advice !== undefined, status !== "ok", `${check}: what is not ok says what to do`);
  }
  return { code, found };
}

for (const engine of engines) {
  describe(`${engine.name}: tidemark doctor`, () => {
    test("finds a lagging index and failed records, and reports where and why", async (t) => {
      const { databaseUrl, createStore, clock, storage, commands } = await openTestLedger(t, engine);
      const settings = { TIDEMARK_DATABASE_URL: databaseUrl };
      const [one, two] = [await createStore(), await createStore()];
      clock.now = Date.now() - 10 * 60_000;
      await one.sync({ operations: [upsert("a"), upsert("b")] });
      clock.now = Date.now();
      await two.sync({ operations: [upsert("c")] });
      const [entry] = await storage.index.claim(one.storeId, clock.now, clock.now, 1);
      const { version } = entry!;
      await storage.index.defer(one.storeId, [{ version, attempts: 6, error: "too odd", dueAt: null }]);

      const late = await runDoctor(settings);
      assert.equal(late.code, 0, "a warning is no failure");
      const { index, "failed records": failed } = late.found;
      assert.equal(index!.status, "warning");
      assert.match(index!.message, /^2 contents wait, the oldest for 6\d\d s$/);
      assert.equal(failed!.status, "warning");
      assert.match(failed!.message, new RegExp(`1 failed in ${one.storeId} \\(1\\); .*: too odd$`));
      assert.match(failed!.advice!, /tidemark index retry/);

      await commands.retryFailed(one.organizationId, one.storeId, { namespace: null, id: null });
      await indexAll(commands);
      const { found } = await runDoctor(settings);
      assert.deepEqual(
        [found.index!.message, found["failed records"]!.message],
        ["up to date with the ledger", "none"],
      );
    });

    test("finds vectors of another model than the server's, and an endpoint that does not answer", async (t) => {
      const endpoint = await startEmbeddingsServer(t);
      const { databaseUrl, createStore, clock, storage } = await openTestLedger(t, engine);
      const { sync, storeId } = await createStore();
      await sync({ operations: [upsert("a")] });
      const config = readConfig({}, { embeddingsUrl: endpoint.url, embeddingsModel: "first-model" });
      await indexAll(openCommands(storage, config, () => clock.now));
      const doctor = (model?: string) =>
        runDoctor({
          TIDEMARK_DATABASE_URL: databaseUrl,
          ...(model && { TIDEMARK_EMBEDDINGS_URL: endpoint.url, TIDEMARK_EMBEDDINGS_MODEL: model }),
        });

      const well = await doctor("first-model");
      assert.equal(well.code, 0);
      assert.equal(well.found["index model"]!.status, "ok");
      assert.match(
        well.found.embeddings!.message,
        /^first-model at 127.0.0.1:\d+ answers within \d+ ms, 64 dim/,
      );
      for (const model of ["second-model", undefined]) {
        const { code, found } = await doctor(model);
        assert.deepEqual([code, found["index model"]!.status], [0, "warning"]);
        assert.ok(found["index model"]!.message.includes(`${storeId} (first-model)`));
        assert.match(found["index model"]!.advice!, /tidemark index rebuild/);
      }
      assert.equal((await doctor()).found.embeddings!.status, "ok", "none are configured");

      endpoint.fault = faults.status(401);
      const refused = await doctor("first-model");
      assert.deepEqual([refused.code, refused.found.embeddings!.status], [1, "failed"]);
      assert.match(refused.found.embeddings!.message, /401/);
      await endpoint.die();
      const away = await doctor("first-model");
      assert.deepEqual([away.code, away.found.embeddings!.status], [1, "failed"]);
    });
  });
}
