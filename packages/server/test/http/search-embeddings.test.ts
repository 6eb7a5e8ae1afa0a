import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { type Commands, openCommands } from "../../src/commands.ts";
import { type Config, readConfig } from "../../src/config.ts";
import { faults, startEmbeddingsServer } from "../embeddings-server.ts";
import { engines } from "../engines.ts";
import { indexAll } from "../test-server.ts";
import { assertError } from "./error-answer.ts";
import { type Searching, startSearching } from "./searching.ts";

/** Only SQLite, because vectors on PostgreSQL need pgvector; test/conformance/ covers both engines. */
const sqlite = engines.find(({ name }) => name === "SQLite")!;

/** Starts a store with an embeddings endpoint that gives texts with common words similar vectors. */
async function startEmbedding(t: TestContext, overrides: Partial<Config> = {}) {
  const embeddings = await startEmbeddingsServer(t);
  const databaseUrl = await sqlite.createDatabase(t);
  const settings = { embeddingsUrl: embeddings.url, embeddingsModel: "words-64", databaseUrl, ...overrides };
  return { ...(await startSearching(t, settings)), embeddings, settings };
}

const put = ({ put }: Searching) =>
  put({
    exact: { title: "zebra" },
    near: { title: "running zebra herd" },
    stem: { title: "zebras" },
    far: { title: "coffee machine" },
  });

describe("a store that embeds", () => {
  test("is searched in hybrid mode unless the search names a mode", async (t) => {
    const searching = await startEmbedding(t);
    await put(searching);
    await searching.index();
    const modeOf = async (mode?: string) => {
      const { status, body } = await searching.search({ query: "zebra", ...(mode && { mode }) });
      assert.deepEqual([status, "warnings" in body], [200, false]);
      return body;
    };
    assert.equal((await modeOf()).mode, "hybrid");
    assert.equal((await modeOf("hybrid")).mode, "hybrid");
    const lexical = await modeOf("lexical");
    assert.equal(lexical.mode, "lexical");
    assert.deepEqual(lexical.data.map(({ id }: { id: string }) => id).sort(), ["exact", "near", "stem"]);
    const semantic = await modeOf("semantic");
    assert.equal(semantic.mode, "semantic");
    assert.deepEqual(
      semantic.data.slice(0, 2).map(({ id }: { id: string }) => id),
      ["exact", "near"],
    );
    assert.ok(
      semantic.data[0].score > 0.999 && semantic.data[0].score < 1.001,
      "equal texts have the cosine 1",
    );
    assert.equal(semantic.data.length, 4, "semantic search also returns distant records if there are few");
  });

  test("fuses both rankings by reciprocal ranks", async (t) => {
    const searching = await startEmbedding(t);
    await put(searching);
    await searching.index();
    const ranked = async (mode: string) => (await searching.found({ query: "zebra herd", mode })) as string[];
    const rankings = [await ranked("lexical"), await ranked("semantic")];
    const { body } = await searching.search("zebra herd");
    for (const { id, score } of body.data) {
      const ranks = rankings.flatMap((ranking) => (ranking.includes(id) ? [ranking.indexOf(id) + 1] : []));
      const expected = ranks.reduce((sum, rank) => sum + 1 / (60 + rank), 0);
      assert.ok(Math.abs(score - expected) < 1e-9, `${id}: ${score}, not ${expected}`);
    }
    assert.equal(new Set(body.data.map(({ id }: { id: string }) => id)).size, body.data.length);
  });

  test("applies namespaces and filters in every mode", async (t) => {
    const { put, index, found } = await startEmbedding(t);
    for (let i = 0; i < 40; i++) {
      await put({ [`r${i}`]: { title: "zebra", n: i } }, i % 20 === 0 ? "rare" : "common");
    }
    await index();
    for (const mode of ["lexical", "semantic", "hybrid"]) {
      const ids = await found({ query: "zebra", mode, namespaces: ["rare"] });
      assert.deepEqual(ids.sort(), ["r0", "r20"], mode);
      assert.deepEqual(await found({ query: "zebra", mode, filter: { n: 37 } }), ["r37"], mode);
      assert.deepEqual(
        await found({ query: "zebra", mode, namespaces: ["rare"], filter: { n: 37 } }),
        [],
        mode,
      );
    }
  });

  test("does not show removed records in any mode", async (t) => {
    const searching = await startEmbedding(t);
    await put(searching);
    await searching.index();
    await searching.remove("exact");
    await searching.put({ near: { title: "coffee" } });
    for (const mode of ["lexical", "semantic", "hybrid"]) {
      const ids = await searching.found({ query: "zebra", mode });
      assert.equal(ids.includes("exact"), false, mode);
      assert.ok(ids.includes("near"), `${mode}: found by its old text`);
    }
    await searching.index();
    const [first] = await searching.found({ query: "coffee", mode: "semantic" });
    assert.equal(first, "near");
    assert.equal((await searching.found({ query: "zebra", mode: "lexical" })).includes("near"), false);
  });

  test("embeds only the query, and nothing for a lexical search", async (t) => {
    const searching = await startEmbedding(t, {
      embeddingsQueryPrefix: "query: ",
      embeddingsChunkPrefix: "passage: ",
    });
    await put(searching);
    await searching.index();
    const { texts } = searching.embeddings;
    assert.deepEqual(texts.toSorted(), [
      "passage: coffee machine",
      "passage: running zebra herd",
      "passage: zebra",
      "passage: zebras",
    ]);
    await searching.found({ query: "zebra", mode: "lexical" });
    await searching.found("zebra");
    assert.deepEqual(searching.embeddings.texts.slice(4), ["query: zebra"]);
  });
});

describe("while the embeddings endpoint is unreachable", () => {
  test("a search is lexical with a warning, and a semantic search gets a 503", async (t) => {
    const searching = await startEmbedding(t);
    await put(searching);
    await searching.index();
    await searching.embeddings.die();
    const { status, body } = await searching.search("zebra");
    assert.deepEqual([status, body.mode, body.data.length], [200, "lexical", 3]);
    assert.equal(body.warnings.length, 1);
    assert.match(body.warnings[0], /^Lexical search only, because the query could not be embedded: /);
    const refused = await searching.search({ query: "zebra", mode: "semantic" });
    assertError(refused, "SERVICE_UNAVAILABLE");
    assert.match(refused.headers.get("retry-after")!, /^\d+$/);
    assert.equal("warnings" in (await searching.search({ query: "zebra", mode: "lexical" })).body, false);

    await searching.embeddings.revive();
    searching.server.clock.now += 60_000;
    assert.equal((await searching.search("zebra")).body.mode, "hybrid");
  });

  test("the server pauses its calls to the endpoint, so that searches do not wait for it", async (t) => {
    const searching = await startEmbedding(t);
    const { embeddings, server, search } = searching;
    await put(searching);
    await searching.index();
    const modes = async (count: number) => {
      const before = embeddings.requests.length;
      const answers = await Promise.all(Array.from({ length: count }, () => search("zebra")));
      const asked = embeddings.requests.length - before;
      return { modes: [...new Set(answers.map(({ body }) => body.mode))], asked };
    };
    embeddings.fault = faults.status(500);
    const single = await modes(1);
    assert.ok(single.asked > 0);
    assert.deepEqual(await modes(3), { modes: ["lexical"], asked: 0 });
    const { body } = await search("zebra");
    assert.match(body.warnings[0], /^Lexical search only, because the query could not be embedded: .*500/);
    server.clock.now += 60_000;
    assert.deepEqual(await modes(5), single, "one search calls the endpoint after the pause");
    server.clock.now += 60_000;
    embeddings.fault = null;
    assert.equal((await search("zebra")).body.mode, "hybrid");
    assert.deepEqual(await modes(2), { modes: ["hybrid"], asked: 2 });
  });

  test("syncs still work, and their records wait until the endpoint is back", async (t) => {
    const searching = await startEmbedding(t);
    const { server, embeddings, search, found } = searching;
    await embeddings.die();
    const sync = await searching.put({ a: { title: "zebra" } });
    await searching.index();
    const after = { query: "zebra", mode: "lexical", after_sync: sync, timeout_ms: 0 };
    assertError(await search(after), "INDEX_NOT_READY");
    await embeddings.revive();
    server.clock.now += 3_600_000;
    await searching.index();
    assert.deepEqual(await found(after), ["a"]);
  });
});

describe("a server without the store's embeddings", () => {
  test("searches lexically with a warning, and rejects semantic searches", async (t) => {
    const searching = await startEmbedding(t);
    await put(searching);
    await searching.index();
    const { tenant, reader } = searching;
    const path = `/v1/organizations/${tenant.organizationId}/vector-stores/${tenant.storeId}/search`;
    const { databaseUrl } = searching.settings;
    const cases: [overrides: Partial<Config>, reason: RegExp][] = [
      [{}, /This server has no embeddings endpoint/],
      [
        { embeddingsUrl: searching.embeddings.url, embeddingsModel: "other" },
        /words-64.* model is other: rebuild/,
      ],
    ];
    for (const [overrides, reason] of cases) {
      const { server } = await startSearching(t, { databaseUrl, ...overrides });
      const post = (body: object) => server.post(path, body, { "x-api-key": reader });
      const { body } = await post({ query: "zebra" });
      assert.deepEqual([body.mode, body.data.length], ["lexical", 3]);
      assert.match(body.warnings[0], reason);
      const rejected = await post({ query: "zebra", mode: "semantic" });
      const [{ field, message }] = assertError(rejected, "VALIDATION_ERROR").errors;
      assert.equal(field, "mode");
      assert.match(message, reason);
    }
  });

  test("gives the same answers if a rebuild with another model ends while the query is embedded", async (t) => {
    const searching = await startEmbedding(t);
    await put(searching);
    await searching.index();
    const { server, embeddings, settings } = searching;
    const config = readConfig({}, { ...settings, embeddingsModel: "other" });
    const other = openCommands(server.storage, config, () => server.clock.now);
    const rebuild = async (commands: Commands) => {
      await commands.beginBuild(searching.tenant.storeId, "{}", true);
      await indexAll(commands);
    };
    for (const mode of ["hybrid", "semantic"]) {
      const { promise: over, resolve: takeOver } = Promise.withResolvers<void>();
      embeddings.next = [faults.until(over)];
      const asked = embeddings.arrival();
      const answer = searching.search({ query: "zebra", mode });
      await asked;
      await rebuild(other);
      takeOver();
      const { status, body } = await answer;
      if (mode === "semantic") assertError(await answer, "VALIDATION_ERROR");
      else assert.deepEqual([status, body.mode, body.data.length], [200, "lexical", 3]);
      assert.match(JSON.stringify(body), /embedded with other, but this server's model is words-64: rebuild/);
      await rebuild(server.commands);
    }
  });
});
