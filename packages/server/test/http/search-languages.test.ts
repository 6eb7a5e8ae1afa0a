import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startSearching } from "./searching.ts";

/** Records in several languages, and the id that each query must find first. */
const LANGUAGES: {
  language: string;
  records: Record<string, { title: string; text: string }>;
  queries: Record<string, string>;
}[] = [
  {
    language: "german",
    records: {
      haus: { title: "Die Häuser am Fluss", text: "Sie wurden 1910 gebaut und stehen unter Denkmalschutz." },
      zug: { title: "Verspätete Züge", text: "Der Zug nach Köln fährt heute später." },
      strasse: { title: "Straßenbau", text: "Die Straße wird erneuert." },
    },
    queries: {
      "haus am fluss": "haus",
      Zügen: "zug",
      zuge: "zug",
      KÖLN: "zug",
      strasse: "strasse",
      gebaute: "haus",
    },
  },
  {
    language: "french",
    records: {
      livre: { title: "Les livres d'occasion", text: "L'étudiante cherche des livres qu'elle lira." },
      ecole: { title: "L'école maternelle", text: "Les enfants jouent dans la cour." },
    },
    queries: { livre: "livre", étudiant: "livre", école: "ecole", ecole: "ecole", "l'enfant joue": "ecole" },
  },
  {
    language: "english",
    records: {
      tokyo: { title: "東京都の天気", text: "明日は晴れるでしょう。コーヒーを飲みながら散歩しましょう。" },
      kyoto: { title: "京都の寺", text: "金閣寺は美しいです。お茶を飲みました。" },
    },
    queries: { 東京都: "tokyo", 京都の寺: "kyoto", コーヒー: "tokyo", お茶: "kyoto", 天気: "tokyo" },
  },
  {
    language: "english",
    records: {
      printer: { title: "打印机着火了", text: "四号房间的打印机从中午开始冒烟。" },
      network: { title: "网络故障", text: "服务器无法连接数据库。" },
    },
    queries: { 打印机: "printer", 数据库连接: "network", 网络: "network", 冒烟: "printer" },
  },
];

describe("a store", () => {
  for (const { language, records, queries } of LANGUAGES) {
    const script = Object.keys(queries)[0];
    test(`finds inflected words in its language: ${language}, ${script}`, async (t) => {
      const { put, index, found, set } = await startSearching(t);
      await set({ language });
      await put(records);
      await index();
      for (const [query, id] of Object.entries(queries)) assert.equal((await found(query))[0], id, query);
    });
  }

  test("with another language still finds identifiers", async (t) => {
    const { put, index, found, set } = await startSearching(t);
    await set({ language: "german" });
    await put({
      a: { title: "Pufferüberlauf", text: "CVE-2025-0282 betrifft Geräte der Reihe NX-9." },
      b: { title: "Rechteausweitung", text: "CVE-2025-0283 betrifft Geräte der Reihe NX-8." },
    });
    await index();
    assert.equal((await found("CVE-2025-0283"))[0], "b");
    assert.equal((await found("nx-9"))[0], "a");
  });
});

describe("new settings of a store", () => {
  test("rebuild the index while the old build answers", async (t) => {
    const { server, tenant, put, remove, index, found, set } = await startSearching(t);
    const more = Object.fromEntries(
      Array.from({ length: 400 }, (_, i) => [`r${i}`, { title: `Nummer ${i}` }]),
    );
    await put({ a: { title: "Züge" }, b: { title: "Züge" }, ...more });
    await index();
    assert.deepEqual(await found("Zügen"), []);
    assert.deepEqual((await found("Züge")).sort(), ["a", "b"]);

    await set({ language: "german" });
    const [store] = await server.commands.storesToIndex();
    await server.commands.beginBuild(tenant.storeId, store!.settings);
    const { step } = await server.commands.prepareBuildStep(tenant.storeId);
    await server.commands.publishBuildStep(tenant.storeId, step!);
    // The new build is incomplete, so search must not use it.
    assert.deepEqual(await found("Zügen"), []);
    assert.deepEqual((await found("Züge")).sort(), ["a", "b"]);
    await remove("b");
    assert.deepEqual(await found("Züge"), ["a"]);

    await index();
    assert.deepEqual(await found("Zügen"), ["a"]);
    assert.equal((await found({ query: "Nummern", limit: 100 })).length, 100);
  });

  test("set the searched fields and the length of chunks", async (t) => {
    const { put, index, found, search, set } = await startSearching(t);
    const text = Array.from({ length: 40 }, (_, i) => `Sentence number ${i} is about a walrus.`).join(" ");
    await put({ a: { name: "okapi", text, internal: { note: "giraffe" } } });
    await index();
    assert.deepEqual(await found("giraffe"), ["a"]);
    const length = async () => (await search("walrus")).body.data[0].text.length as number;
    const before = await length();

    await set({ text_fields: ["name", "text"], title_field: "name", chunk_tokens: 40 });
    await index();
    assert.deepEqual([await found("giraffe"), await found("okapi")], [[], ["a"]]);
    assert.ok((await length()) < before / 2, "shorter chunks");
    assert.match((await search("walrus")).body.data[0].text, /^okapi\n/);

    await set({ text_fields: null, metadata_fields: ["name"] });
    await index();
    assert.deepEqual(await found("giraffe"), ["a"]);
    assert.deepEqual(await found({ query: "giraffe", filter: { name: "okapi" } }), ["a"]);
  });

  test("take effect when the indexer finishes the new build, and search answers meanwhile", async (t) => {
    const { put, found, set } = await startSearching(t, {}, { indexes: true });
    const sync = await put({ a: { title: "Züge" } });
    assert.deepEqual(await found({ query: "Züge", after_sync: sync, timeout_ms: 60_000 }), ["a"]);
    await set({ language: "german" });
    while ((await found("Zügen")).length === 0) assert.deepEqual(await found("Züge"), ["a"]);
  });
});
