import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Config } from "../../src/config.ts";
import { faults } from "../embeddings-server.ts";
import { whenDone } from "../when-done.ts";
import { embedChunks, embedderFor, numbered, startEmbedder, unavailable } from "./embedder-calls.ts";

const KEY = "sk-test-0123456789abcdef";

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

describe("vectors", () => {
  test("come in the order of the texts, with length 1, and similar texts have near ones", async (t) => {
    const { embedder } = await startEmbedder(t, { embeddingsBatchSize: 2 });
    assert.equal(embedder.dimensions, null);
    const texts = ["a cat on a mat", "stocks fell on monday", "the cat on the mat"];
    const [cat, stocks, again] = await embedChunks(embedder, texts);
    assert.equal(embedder.dimensions, 64);
    for (const vector of [cat, stocks, again]) assert.ok(Math.abs(dot(vector!, vector!) - 1) < 1e-6);
    assert.ok(dot(cat!, again!) > dot(cat!, stocks!));
    const [alone] = await embedChunks(embedder, [texts[1]!]);
    assert.deepEqual(alone, stocks);
  });

  test("are sorted by their index if the endpoint gives one", async (t) => {
    const { server, embedder } = await startEmbedder(t);
    const texts = numbered(5);
    const straight = await embedChunks(embedder, texts);
    server.fault = ({ answer, reply }) => {
      answer.data.reverse();
      reply();
    };
    assert.deepEqual(await embedChunks(embedder, texts), straight);
    server.fault = ({ answer, reply }) =>
      reply({ data: answer.data.map(({ embedding }) => ({ embedding })) });
    assert.deepEqual(await embedChunks(embedder, texts), straight);
  });

  test("are not requested if there are no texts", async (t) => {
    const { server, embedder } = await startEmbedder(t);
    assert.deepEqual(await embedChunks(embedder, []), []);
    assert.equal(server.requests.length, 0);
  });
});

describe("a request", () => {
  test("has the model, the key and the texts, and nothing else", async (t) => {
    const { server, embedder } = await startEmbedder(t, { embeddingsApiKey: KEY });
    // What OpenAI's own client takes from the environment.
    const environment = { OPENAI_ORG_ID: "org", OPENAI_CUSTOM_HEADERS: "x-custom: 1\nauthorization: other" };
    Object.assign(process.env, environment);
    whenDone(t, () => {
      for (const name of Object.keys(environment)) delete process.env[name];
    });
    await embedChunks(embedder, ["one", "two"]);
    const [{ path, body, headers }] = server.requests as [(typeof server.requests)[0]];
    assert.equal(path, "/v1/embeddings");
    assert.deepEqual(body, { model: "test-model", input: ["one", "two"], encoding_format: "float" });
    assert.equal(headers.authorization, `Bearer ${KEY}`);
    assert.equal(headers["user-agent"], "tidemark");
    assert.deepEqual(
      Object.keys(headers).filter((name) => name.startsWith("x-") || name.startsWith("openai-")),
      [],
    );
  });

  test("has no key if none is configured, whatever the environment has", async (t) => {
    const { server, embedder } = await startEmbedder(t);
    process.env.OPENAI_API_KEY = "sk-of-something-else";
    whenDone(t, () => delete process.env.OPENAI_API_KEY);
    await embedChunks(embedder, ["one"]);
    assert.equal(server.requests[0]!.headers.authorization, undefined);
    assert.equal(server.requests[0]!.headers["api-key"], undefined);
  });

  test("has Azure's header and API version if the URL names a version", async (t) => {
    const { server } = await startEmbedder(t);
    const url = `${server.url}/openai/deployments/mine/?api-version=2024-10-21`;
    await embedChunks(embedderFor({ embeddingsUrl: url, embeddingsApiKey: KEY }), ["one"]);
    const { path, headers } = server.requests[0]!;
    assert.equal(path, "/v1/openai/deployments/mine/embeddings?api-version=2024-10-21");
    assert.equal(headers["api-key"], KEY);
    assert.equal(headers.authorization, undefined);
  });

  test("goes to `/embeddings` below the base URL, with the URL's query and without its fragment", async (t) => {
    const { server } = await startEmbedder(t);
    const { origin } = new URL(server.url);
    const cases: [base: string, path: string][] = [
      ["", "/embeddings"],
      ["/", "/embeddings"],
      ["/v1", "/v1/embeddings"],
      ["/v1//", "/v1/embeddings"],
      ["/a%20b?x=1&y=%C3%BC#frag", "/a%20b/embeddings?x=1&y=%C3%BC"],
    ];
    for (const [base, path] of cases) {
      await embedChunks(embedderFor({ embeddingsUrl: origin + base, embeddingsApiKey: KEY }), ["one"]);
      const { path: sent, headers } = server.requests.pop()!;
      assert.equal(sent, path);
      assert.equal(headers.authorization, `Bearer ${KEY}`);
    }
  });

  test("may be answered with JSON after a byte order mark", async (t) => {
    const { server, embedder } = await startEmbedder(t);
    server.fault = faults.body('\ufeff{"data":[{"index":0,"embedding":[3,4]}]}');
    assert.deepEqual(await embedChunks(embedder, ["one"]), [new Float32Array([0.6, 0.8])]);
  });

  test("has the prefix of its purpose before each text; only the prefix of chunks changes the fingerprint", async (t) => {
    const prefixes = { embeddingsChunkPrefix: "passage: ", embeddingsQueryPrefix: "query: " };
    const { server, embedder } = await startEmbedder(t, prefixes);
    await embedChunks(embedder, ["one", "two"]);
    await embedder.embed(["three"], { purpose: "query" });
    assert.deepEqual(server.texts, ["passage: one", "passage: two", "query: three"]);
    const fingerprint = (settings: Partial<Config>) =>
      embedderFor({ embeddingsUrl: server.url, ...prefixes, ...settings }).fingerprint;
    assert.equal(fingerprint({}), embedder.fingerprint);
    assert.equal(fingerprint({ embeddingsQueryPrefix: "q: " }), embedder.fingerprint);
    for (const other of [
      { embeddingsModel: "x" },
      { embeddingsDimensions: 8 },
      { embeddingsChunkPrefix: "" },
    ]) {
      assert.notEqual(fingerprint(other), embedder.fingerprint);
    }
  });

  test("has no more texts than the batch size, and no more characters than a request may have", async (t) => {
    const { server, embedder } = await startEmbedder(t, { embeddingsBatchSize: 8, embeddingsConcurrency: 1 });
    await embedChunks(embedder, numbered(20));
    assert.deepEqual(
      server.requests.map(({ texts }) => texts.length),
      [8, 8, 4],
    );
    server.requests.length = 0;
    await embedChunks(embedder, [
      "a".repeat(30_000),
      "b".repeat(30_000),
      "c".repeat(30_000),
      "d".repeat(90_000),
    ]);
    assert.deepEqual(
      server.requests.map(({ texts }) => texts.map((text) => text.length)),
      [
        [30_000, 30_000],
        [30_000, 32_000],
      ],
    );
  });

  test("contains no half of a surrogate pair", async (t) => {
    const { server, embedder } = await startEmbedder(t);
    await embedChunks(embedder, ["half \ud83d of it", `${"x".repeat(31_999)}😀`]);
    assert.deepEqual(server.texts, ["half \ufffd of it", "x".repeat(31_999)]);
  });

  test("is one of a limited number in parallel, over all callers", async (t) => {
    const { server, embedder } = await startEmbedder(t, { embeddingsBatchSize: 1, embeddingsConcurrency: 2 });
    const gate = Promise.withResolvers<void>();
    server.fault = faults.until(gate.promise);
    const arrived = server.arrival().then(() => server.arrival());
    const calls = [numbered(3), numbered(3), numbered(3)].map((texts) => embedChunks(embedder, texts));
    await arrived;
    assert.equal(server.requests.length, 2);
    gate.resolve();
    const embedded = await Promise.all(calls);
    assert.equal(server.requests.length, 9);
    assert.equal(server.concurrencyMax, 2);
    assert.deepEqual(embedded[0], embedded[2]);
  });

  test("for a query does not wait for chunks", async (t) => {
    const { server, embedder } = await startEmbedder(t, { embeddingsConcurrency: 1 });
    const gate = Promise.withResolvers<void>();
    server.next = [faults.until(gate.promise)];
    const arrival = server.arrival();
    const waiting = embedChunks(embedder, ["slow"]);
    await arrival;
    const [vector] = await embedder.embed(["fast"], { purpose: "query" });
    assert.equal(vector!.length, 64);
    gate.resolve();
    await waiting;
  });
});

describe("dimensions", () => {
  test("that are configured are requested and checked", async (t) => {
    const { server, embedder } = await startEmbedder(t, { embeddingsDimensions: 16 });
    assert.equal(embedder.dimensions, 16);
    const [vector] = await embedChunks(embedder, ["one"]);
    assert.equal(vector!.length, 16);
    assert.equal(server.requests[0]!.body.dimensions, 16);
    server.next = [faults.dimensions(24)];
    const error = await unavailable(embedChunks(embedder, ["one"]));
    assert.match(error.message, /24 dimensions instead of 16/);
    assert.equal(embedder.dimensions, 16);
  });

  test("that differ from earlier ones are refused once; the next answer decides", async (t) => {
    const { server, embedder } = await startEmbedder(t);
    await embedChunks(embedder, ["one"]);
    server.fault = faults.dimensions(24);
    assert.match((await unavailable(embedChunks(embedder, ["one"]))).message, /24 dimensions instead of 64/);
    const [vector] = await embedChunks(embedder, ["one"]);
    assert.equal(vector!.length, 24);
    assert.equal(embedder.dimensions, 24);
  });

  test("above the engines' limit are refused", async (t) => {
    const { embedder } = await startEmbedder(t, {}, 16_001);
    const error = await unavailable(embedChunks(embedder, ["one"]));
    assert.match(error.message, /16001 dimensions instead of at most 16000/);
  });
});

describe("an aborted call", () => {
  test("ends immediately with the signal's reason, during the exchange and before it", async (t) => {
    const { server, embedder } = await startEmbedder(t, { embeddingsConcurrency: 1 });
    for (const fault of [faults.hang(), faults.hangInBody()]) {
      server.fault = fault;
      const running = new AbortController();
      const waiting = new AbortController();
      const arrival = server.arrival();
      const first = embedChunks(embedder, ["one"], running.signal);
      const second = embedChunks(embedder, ["two"], waiting.signal);
      await arrival;
      waiting.abort(new Error("second thoughts"));
      await assert.rejects(second, /^Error: second thoughts$/);
      running.abort(new Error("shutdown"));
      await assert.rejects(first, /^Error: shutdown$/);
    }
    assert.deepEqual(server.texts, ["one", "one"]);
    await assert.rejects(embedChunks(embedder, ["one"], AbortSignal.abort(new Error("before"))), /before/);
    server.fault = null;
    assert.equal((await embedChunks(embedder, ["three"])).length, 1);
  });
});
