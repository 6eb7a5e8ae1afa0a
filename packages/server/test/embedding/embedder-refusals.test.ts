import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Fault, faults } from "../embeddings-server.ts";
import { embedChunks, missing, numbered, refused, startEmbedder } from "./embedder-calls.ts";

describe("a refused text", () => {
  const refusals: [name: string, fault: Fault, why: RegExp][] = [
    ["answers 400 for", faults.refuse("poison"), /answered 400: fault: refused$/],
    ["answers 422 for", faults.refuse("poison", 422), /answered 422: fault: refused$/],
    ["answers 403 for", faults.refuse("poison", 403), /answered 403: .*fault: refused$/],
    ["fails with 500 over", faults.refuse("poison", 500), /answered 500: fault: refused$/],
    ["gives null for", faults.number(null, "poison"), /NaN or zeros/],
    ["gives NaN for", faults.number(Number.NaN, "poison"), /NaN or zeros/],
    ["gives Infinity for", faults.number(Number.POSITIVE_INFINITY, "poison"), /NaN or zeros/],
    ["gives numbers too large for", faults.number(1e200, "poison"), /NaN or zeros/],
    ["gives zeros for", faults.zeros("poison"), /NaN or zeros/],
  ];
  for (const [name, fault, why] of refusals) {
    test(`is one that the endpoint ${name}; the other texts get vectors`, async (t) => {
      const { server, embedder } = await startEmbedder(t, {
        embeddingsBatchSize: 16,
        embeddingsConcurrency: 2,
      });
      const texts = numbered(40);
      const right = await embedChunks(embedder, texts);
      server.requests.length = 0;
      texts[5] = "poison in a text";
      texts[30] = "poison in another";
      server.fault = fault;
      const error = await refused(embedChunks(embedder, texts));
      assert.equal(error.index, 5);
      assert.deepEqual(
        [...error.refusals.keys()].sort((a, b) => a - b),
        [5, 30],
      );
      for (const message of error.refusals.values()) assert.match(message, why);
      assert.match(error.message, why);
      assert.deepEqual(missing(error.embedded), [5, 30]);
      right[5] = right[30] = null as never;
      assert.deepEqual(error.embedded, right);
      assert.ok(server.requests.length < 50, `${server.requests.length} requests`);
    });

    test(`is one that the endpoint ${name}, even in a request of its own`, async (t) => {
      const { server, embedder } = await startEmbedder(t);
      server.fault = fault;
      const error = await refused(embedChunks(embedder, ["poison"]));
      assert.deepEqual([error.index, error.embedded], [0, [null]]);
      await refused(embedder.embed(["poison"], { purpose: "query" }));
    });
  }

  test("is not one for which the server fails once", async (t) => {
    for (const fault of [faults.status(500), faults.number(null), faults.zeros()]) {
      const { server, embedder } = await startEmbedder(t);
      server.next = [fault];
      assert.equal((await embedChunks(embedder, ["one"])).length, 1);
      server.next = [fault];
      assert.equal((await embedChunks(embedder, numbered(9))).length, 9);
    }
  });

  test("is not one whose neighbour causes NaN", async (t) => {
    const { server, embedder } = await startEmbedder(t);
    const spoilAll = faults.number(null);
    server.fault = (exchange) =>
      exchange.request.texts.includes("poison") ? spoilAll(exchange) : exchange.reply();
    const texts = [...numbered(6), "poison", "last"];
    const error = await refused(embedChunks(embedder, texts));
    assert.deepEqual(missing(error.embedded), [6]);
  });
});

describe("a text that is too long for the model", () => {
  test("is cut in half until it fits; the others are sent whole", async (t) => {
    const { server, embedder } = await startEmbedder(t);
    server.fault = faults.refuseLonger(300);
    const long = `${"a".repeat(249)}😀${"b".repeat(749)}`;
    const vectors = await embedChunks(embedder, ["short", long, "brief"]);
    assert.equal(vectors.length, 3);
    // A half of 500.5 characters, and one of 250 that would end in half of a pair.
    assert.ok(server.texts.includes("a".repeat(249)));
    assert.deepEqual(vectors[1], (await embedChunks(embedder, ["a".repeat(249)]))[0]);
    assert.deepEqual(vectors[0], (await embedChunks(embedder, ["short"]))[0]);
  });

  test("is cut if the endpoint answers 413 without a message", async (t) => {
    const { server, embedder } = await startEmbedder(t);
    server.fault = (exchange) =>
      exchange.request.texts.some(({ length }) => length > 600)
        ? void exchange.response.writeHead(413).end()
        : exchange.reply();
    await embedChunks(embedder, ["a".repeat(1000)]);
    assert.deepEqual(server.texts, ["a".repeat(1000), "a".repeat(500)]);
  });

  test("is not assumed if a server answers that its time is up", async (t) => {
    const { server, embedder } = await startEmbedder(t);
    server.next = [faults.status(500, {}, "context deadline exceeded")];
    const text = "a".repeat(1000);
    await embedChunks(embedder, [text]);
    assert.equal(server.texts.at(-1), text);
  });

  test("is refused if even a sixteenth of it is too long", async (t) => {
    const { server, embedder } = await startEmbedder(t);
    server.fault = faults.refuseLonger(10);
    const error = await refused(embedChunks(embedder, ["short", "a".repeat(1000)]));
    assert.deepEqual(missing(error.embedded), [1]);
    assert.match(error.message, /maximum context length/);
    const shortest = Math.min(...server.texts.map(({ length }) => length).filter((length) => length > 8));
    assert.equal(shortest, 63);
  });
});

test("an endpoint that takes fewer texts per request gets smaller batches from then on", async (t) => {
  const { server, embedder } = await startEmbedder(t, { embeddingsBatchSize: 32, embeddingsConcurrency: 1 });
  server.fault = faults.refuseMore(10);
  assert.equal((await embedChunks(embedder, numbered(64))).length, 64);
  server.requests.length = 0;
  await embedChunks(embedder, numbered(64));
  assert.deepEqual(
    server.requests.map(({ texts }) => texts.length),
    [8, 8, 8, 8, 8, 8, 8, 8],
  );
});

test("a refused text does not make the batches smaller", async (t) => {
  const { server, embedder } = await startEmbedder(t, { embeddingsBatchSize: 32, embeddingsConcurrency: 1 });
  server.fault = faults.refuse("poison");
  await refused(embedChunks(embedder, [...numbered(31), "poison"]));
  server.fault = null;
  server.requests.length = 0;
  await embedChunks(embedder, numbered(32));
  assert.equal(server.requests.length, 1);
});
