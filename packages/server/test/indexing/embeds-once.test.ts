import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { openCommands } from "../../src/commands.ts";
import { readConfig } from "../../src/config.ts";
import { chunkRecord } from "../../src/text/record-text.ts";
import { readTextSettings } from "../../src/text/settings.ts";
import { startEmbeddingsServer } from "../embeddings-server.ts";
import { engines, type TestEngine } from "../engines.ts";
import { openTestLedger, storeOf, sweepAll } from "../test-ledger.ts";
import { createTenant, indexAll } from "../test-server.ts";

const HOUR_MS = 3_600_000;

type Data = Record<string, unknown>;

const upsert = (id: string, data: Data) => ({ action: "upsert", id, namespace: "tasks", data });
const remove = (id: string) => ({ action: "delete", id, namespace: "tasks" });

/** A unique word for each number, without digits, which are not text. */
const word = (number: number) =>
  `x${number.toString(8).replace(/\d/g, (digit) => "bcdfghjk"[Number(digit)]!)}`;
/** Twelve words that no other paragraph has. */
const paragraph = (number: number) =>
  Array.from({ length: 12 }, (_, index) => word(number * 12 + index)).join(" ");

/** A store whose texts are embedded by an endpoint that counts them. */
async function openCounted(t: TestContext, engine: TestEngine) {
  const endpoint = await startEmbeddingsServer(t);
  const { storage, clock } = await openTestLedger(t, engine);
  const commandsFor = (embeddingsModel: string) =>
    openCommands(storage, readConfig({}, { embeddingsUrl: endpoint.url, embeddingsModel }), () => clock.now);
  const commands = commandsFor("test-model");
  const tenant = await createTenant(commands, clock.now);
  const store = storeOf(commands, tenant);
  const { organizationId, storeId } = store;

  /** The texts that are embedded until a change is indexed and everything superfluous is swept. */
  const embedded = async (
    change: () => Promise<unknown>,
    { indexWith = commands, isStaged = false } = {},
  ): Promise<string[]> => {
    const before = endpoint.texts.length;
    clock.now += 1000;
    await change();
    await indexAll(indexWith);
    await sweepAll(storage, clock.now);
    await indexAll(indexWith);
    while ((await storage.index.sweep(clock.now)).more);
    if (!isStaged) await checkComplete();
    return endpoint.texts.slice(before);
  };

  /** Checks that the index has every chunk once, with its vector, so that no needed text was left out. */
  const checkComplete = async () => {
    const { settings } = await commands.getVectorStore(organizationId, storeId);
    const { data } = await commands.listRecords(organizationId, storeId, {
      namespace: "tasks",
      limit: 100,
    });
    const expected = data.flatMap(({ id, data }) =>
      chunkRecord(data, readTextSettings(settings)).map(({ text }) => [id, text]),
    );
    const rows = await storage.read((sql) =>
      sql.all(
        `SELECT c.id, c.text, v.hash FROM index_builds b
         JOIN chunks c ON c.store_id = b.store_id AND c.build = b.build
         LEFT JOIN vectors v ON v.store_id = b.store_id AND v.space = b.space AND v.vector = c.vector
         WHERE b.store_id = $1 AND b.state = 'active'`,
        [storeId],
      ),
    );
    assert.deepEqual(rows.map(({ id, text }) => [id, text]).sort(), expected.sort());
    const bare = rows.filter(({ text, hash }) => text !== "" && hash === null);
    assert.deepEqual(bare, [], "every text has a vector");
  };

  return {
    endpoint,
    clock,
    commands,
    commandsFor,
    embedded,
    store,
    /** The texts that an incremental sync embeds. */
    put: (...operations: object[]) => embedded(() => store.sync({ operations })),
    /** The texts that new settings of the store embed. */
    set: (settings: Data) =>
      embedded(() => commands.updateVectorStore(organizationId, storeId, { settings }, clock.now)),
    rebuild: (indexWith = commands) =>
      embedded(() => indexWith.beginBuild(storeId, "{}", true), { indexWith }),
  };
}

const titled = (number: number): Data => ({ title: paragraph(number) });
/** A document of 250 paragraphs; the `changed` ones have other words. */
const document = (...changed: number[]): Data => ({
  title: "A document",
  body: Array.from({ length: 250 }, (_, index) =>
    paragraph(changed.includes(index) ? 9000 + index : index),
  ).join("\n\n"),
});

for (const engine of engines) {
  describe(`${engine.name}: a text is embedded once`, () => {
    test("changing a number, or a field that is not searched, embeds nothing", async (t) => {
      const { put, set } = await openCounted(t, engine);
      const data = { title: "Leaking valve", body: "It drips.", amount: 5, owner: "Ada", done: false };
      assert.equal((await put(upsert("a", data))).length, 1);
      await set({ metadata_fields: ["owner", "audit.by"] });
      assert.deepEqual(await put(upsert("a", { ...data, amount: 7 })), []);
      assert.deepEqual(await put(upsert("a", { ...data, amount: 7, owner: "Grace" })), []);
      assert.deepEqual(await put(upsert("a", { ...data, owner: "Grace", audit: { by: "Alan" } })), []);
      assert.equal((await put(upsert("a", { ...data, body: "It leaks." }))).length, 1);
    });

    test("a record without text embeds nothing, and is found by its numbers", async (t) => {
      const { put, commands, store } = await openCounted(t, engine);
      assert.deepEqual(await put(upsert("a", { amount: 4711 }), upsert("b", {})), []);
      const { data } = await commands.search(store.organizationId, store.storeId, {
        query: "4711",
        mode: "lexical",
      });
      assert.deepEqual(
        data.map(({ id }) => id),
        ["a"],
      );
    });

    test("changing one of 250 paragraphs embeds only the changed chunks", async (t) => {
      const { put } = await openCounted(t, engine);
      const all = await put(upsert("a", document()));
      assert.ok(all.length > 10, `${all.length} chunks`);
      for (const changed of [0, 120, 249]) {
        const again = await put(upsert("a", document(changed)));
        const back = await put(upsert("a", document()));
        assert.ok(again.length >= 1 && again.length <= 3, `${again.length} chunks for paragraph ${changed}`);
        assert.ok(again.some((text) => text.includes(paragraph(9000 + changed))));
        assert.deepEqual(back, [], "the earlier text");
      }
      const without = String(document().body).split("\n\n").toSpliced(100, 1).join("\n\n");
      assert.ok((await put(upsert("a", { ...document(), body: without }))).length <= 3);
    });

    test("a full refresh of unchanged records embeds nothing, whole or in parts", async (t) => {
      const { put, store, embedded } = await openCounted(t, engine);
      const operations = Array.from({ length: 40 }, (_, index) => upsert(`r${index}`, titled(index)));
      assert.equal((await put(...operations)).length, 40);
      const refresh = (time: string, fields: object) =>
        store.sync({ sync_mode: "full_refresh", sync_timestamp: `2025-11-11T${time}:00Z`, ...fields });
      assert.deepEqual(await embedded(() => refresh("11:00", { operations })), []);
      const part = (from: number, last_batch: boolean, changed: object[] = []) =>
        embedded(
          () =>
            refresh("11:30", { operations: [...operations.slice(from, from + 20), ...changed], last_batch }),
          { isStaged: !last_batch },
        );
      assert.deepEqual(await part(0, false), []);
      // A part is embedded before its refresh is applied, so that only the last part is embedded then.
      assert.deepEqual(await part(20, false, [upsert("new", titled(100))]), [paragraph(100)]);
      assert.deepEqual(await part(40, true, [upsert("newer", titled(101))]), [paragraph(101)]);
    });

    test("a text of several records is embedded once, even for later records", async (t) => {
      const { put } = await openCounted(t, engine);
      const same = [upsert("a", titled(1)), upsert("b", titled(1)), upsert("c", titled(2))];
      assert.deepEqual((await put(...same)).sort(), [paragraph(1), paragraph(2)].sort());
      assert.deepEqual(await put(upsert("d", titled(1)), remove("a")), []);
    });

    test("another chunk size embeds only new chunks", async (t) => {
      const { put, set } = await openCounted(t, engine);
      const short = Array.from({ length: 20 }, (_, index) => upsert(`r${index}`, titled(index)));
      const before = new Set(await put(upsert("long", document(1, 2, 3)), ...short));
      const after = await set({ chunk_tokens: 200 });
      assert.ok(after.length > 10, `${after.length} chunks are new`);
      assert.equal(new Set(after).size, after.length, "none of them twice");
      assert.deepEqual(
        after.filter((text) => before.has(text)),
        [],
      );
      assert.deepEqual(await set({ chunk_tokens: null }), [], "back to the old chunks");
      assert.deepEqual(await set({ language: "german" }), [], "another language has the same texts");
    });

    test("a rebuild with the same model embeds nothing, and one with another model everything", async (t) => {
      const { put, rebuild, commandsFor } = await openCounted(t, engine);
      const records = Array.from({ length: 90 }, (_, index) => upsert(`r${index}`, titled(index)));
      const all = (await put(...records)).sort();
      assert.equal(all.length, 90);
      assert.deepEqual(await rebuild(), []);
      const other = commandsFor("other-model");
      assert.deepEqual((await rebuild(other)).sort(), all);
      assert.deepEqual(await rebuild(other), []);
    });

    test("a text that arrives during a rebuild is embedded once for both builds", async (t) => {
      const { put, commands, store } = await openCounted(t, engine);
      await put(upsert("a", titled(1)));
      await commands.beginBuild(store.storeId, "{}", true);
      assert.deepEqual(await put(upsert("b", titled(2))), [paragraph(2)]);
    });

    test("a record that moves to another id, in one sync or within a day, embeds nothing", async (t) => {
      const { put, clock } = await openCounted(t, engine);
      assert.equal((await put(upsert("a", document()))).length > 10, true);
      assert.deepEqual(await put(remove("a"), upsert("b", document())), [], "in one sync");
      assert.deepEqual(await put(upsert("c", document())), [], "a copy");
      await put(remove("b"), remove("c"));
      clock.now += 23 * HOUR_MS;
      await put();
      assert.deepEqual(await put(upsert("d", document())), [], "within a day");
    });
  });
}
