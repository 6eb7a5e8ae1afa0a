import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { type Fault, faults } from "../embeddings-server.ts";
import { whenDone } from "../when-done.ts";
import { embedChunks, missing, numbered, startEmbedder, unavailable } from "./embedder-calls.ts";

const KEY = "sk-test-0123456789abcdef";

describe("an endpoint", () => {
  const broken: [name: string, fault: Fault, message: RegExp][] = [
    ["hangs", faults.hang(), /gave no answer within 150 ms/],
    ["hangs in the body", faults.hangInBody(), /gave no answer within 150 ms/],
    ["closes the connection", faults.close(), /cannot be reached \(UND_ERR_SOCKET\)/],
    ["breaks off in the body", faults.breakOff(), /cannot be reached \(UND_ERR_SOCKET\)/],
    ["answers 401", faults.status(401), /answered 401: check TIDEMARK_EMBEDDINGS_API_KEY: fault 401/],
    ["answers 403", faults.status(403), /answered 403: check TIDEMARK_EMBEDDINGS_API_KEY/],
    ["answers 404", faults.status(404), /answered 404: check TIDEMARK_EMBEDDINGS_URL and TIDEMARK_EMBEDD/],
    ["answers 429", faults.status(429), /answered 429: fault 429/],
    ["answers 500", faults.status(500), /answered 500: fault 500/],
    ["answers 503", faults.status(503), /answered 503/],
    ["refuses any text", faults.status(400), /any text: check TIDEMARK_EMBEDDINGS_MODEL and TIDEMARK_EMBEDD/],
    [
      "finds any text too long",
      faults.status(400, {}, "too long"),
      /any text: check TIDEMARK_EMBEDDINGS_MOD/,
    ],
    ["gives another page", faults.body("<html>"), /gave an answer that is not JSON/],
    ["gives nothing", faults.body(""), /a broken answer: it has no list/],
    ["gives null", faults.body("null"), /a broken answer: it has no list/],
    ["gives too few vectors", faults.tooFew(), /a broken answer: it has 1 vectors for 2 texts/],
    ["gives strings", faults.number("0.5"), /a broken answer: an `embedding` has a string in it/],
    ["gives base64", giveEach("AAAAAA=="), /a broken answer: an `embedding` is not a list/],
    ["gives empty vectors", giveEach([]), /a broken answer: its vectors have different numbers/],
    ["gives vectors of several lengths", giveSeveralLengths, /a broken answer: its vectors have different/],
    ["gives one index twice", giveIndex(0), /a broken answer: two vectors have the same `index`/],
    ["gives an index too high", giveIndex(2), /a broken answer: a vector's `index` is wrong/],
    ["gives NaN for any text", faults.number(Number.NaN), /gives NaN or zeros for any text/],
    ["gives infinite numbers", faults.number(Number.NEGATIVE_INFINITY), /gives NaN or zeros for any text/],
    ["gives zeros for any text", faults.zeros(), /gives NaN or zeros for any text/],
    ["never ends", faults.endless(), /gave an answer of more than \d+ bytes/],
  ];

  function giveEach(embedding: unknown): Fault {
    return ({ answer, reply }) => reply({ data: answer.data.map((item) => ({ ...item, embedding })) });
  }
  function giveIndex(index: number): Fault {
    return ({ answer, reply }) => reply({ data: answer.data.map((item) => ({ ...item, index })) });
  }
  function giveSeveralLengths({ answer, reply }: Parameters<Fault>[0]): void {
    (answer.data[0]!.embedding as number[]).push(1);
    reply();
  }

  for (const [name, fault, message] of broken) {
    test(`is unavailable if it ${name}, and works again afterwards`, async (t) => {
      const hanging = name.startsWith("hangs");
      const { server, embedder } = await startEmbedder(t, hanging ? { embeddingsTimeoutMs: 150 } : {});
      server.fault = fault;
      const error = await unavailable(embedChunks(embedder, ["one", "two"]));
      assert.match(error.message, message);
      assert.equal(error.retryAfterMs, null);
      assert.deepEqual(missing(error.embedded), [0, 1]);
      if (hanging) return;
      server.fault = null;
      assert.equal((await embedChunks(embedder, ["one", "two"])).length, 2);
    });
  }

  test("is unavailable until it listens", async (t) => {
    const { server, embedder } = await startEmbedder(t);
    await embedChunks(embedder, ["one"]);
    await server.die();
    const error = await unavailable(embedChunks(embedder, ["two"]));
    assert.match(error.message, /at 127\.0\.0\.1:\d+ cannot be reached \((?:E\w+|UND_ERR_SOCKET)\)/);
    await server.revive();
    assert.equal((await embedChunks(embedder, ["two"])).length, 1);
  });

  test("may ask for a pause, whose length is passed on", async (t) => {
    const { server, embedder } = await startEmbedder(t);
    for (const status of [429, 500, 503]) {
      server.next = [faults.status(status, { "retry-after": "7" })];
      const error = await unavailable(embedChunks(embedder, ["one"]));
      assert.equal(error.retryAfterMs, 7000);
    }
    assert.equal(server.requests.length, 3);
  });

  test("is judged by its status even if the body of the error never ends", async (t) => {
    const { server, embedder } = await startEmbedder(t, { embeddingsTimeoutMs: 150 });
    const head = { "content-type": "application/json", "retry-after": "7" };
    server.next = [
      ({ response }) => response.writeHead(429, head).write('{"error":'),
      ({ response }) => {
        response.writeHead(429, head);
        const chunk = " ".repeat(100_000);
        const send = () => {
          while (!response.destroyed && response.write(chunk));
        };
        response.on("drain", send);
        send();
      },
    ] as Fault[];
    for (const _ of server.next.slice()) {
      assert.equal((await unavailable(embedChunks(embedder, ["one"]))).retryAfterMs, 7000);
    }
  });

  test("has its error message passed on in one short line, without the key", async (t) => {
    const { server, embedder } = await startEmbedder(t, { embeddingsApiKey: KEY });
    const bodies: [body: string, said: RegExp][] = [
      [JSON.stringify({ error: { message: `No\nsuch key: ${KEY}` } }), /: No such key: …$/],
      [JSON.stringify({ error: `no ${KEY}` }), /: no …$/],
      [JSON.stringify({ object: "error", message: "of vLLM" }), /: of vLLM$/],
      [JSON.stringify({ detail: "Not Found" }), /: Not Found$/],
      [JSON.stringify({ detail: [{ msg: "bad field", input: "a record's text" }] }), /: bad field$/],
      [JSON.stringify({ error: { message: "x".repeat(5000) } }), /: x{300}$/],
      ["<html>a page of a proxy</html>", /API_KEY$/],
    ];
    for (const [body, said] of bodies) {
      server.next = [({ response }) => void response.writeHead(401).end(body)];
      const { message } = await unavailable(embedChunks(embedder, ["one"]));
      assert.match(message.replace(/\.$/, ""), said);
      assert.ok(!message.includes(KEY));
    }
  });

  test("that redirects does not make the embedder send the key or texts to another server", async (t) => {
    const { server, embedder } = await startEmbedder(t, { embeddingsApiKey: KEY });
    const other = createServer(() => assert.fail("The redirect was followed.")).listen(0, "127.0.0.1");
    whenDone(t, () => other.close());
    await once(other, "listening");
    const location = `http://127.0.0.1:${(other.address() as { port: number }).port}/v1/embeddings`;
    for (const status of [301, 302, 307, 308]) {
      server.next = [faults.status(status, { location })];
      const { message } = await unavailable(embedChunks(embedder, ["one"]));
      assert.ok(message.includes(`redirects to ${location}, which TIDEMARK_EMBEDDINGS_URL`), message);
    }
  });

  test("that fails gets no further batch, and its earlier vectors are kept", async (t) => {
    const { server, embedder } = await startEmbedder(t, { embeddingsBatchSize: 2, embeddingsConcurrency: 1 });
    server.next = [null, faults.status(503)];
    const error = await unavailable(embedChunks(embedder, numbered(9)));
    assert.deepEqual(missing(error.embedded), [2, 3, 4, 5, 6, 7, 8]);
    assert.equal(server.requests.length, 2);
  });

  test("that fails is still waited for while another request is in progress", async (t) => {
    const { server, embedder } = await startEmbedder(t, { embeddingsBatchSize: 1, embeddingsConcurrency: 2 });
    const failed = Promise.withResolvers<void>();
    server.next = [
      faults.until(failed.promise),
      ({ response }) => {
        response.on("close", failed.resolve);
        response.writeHead(503).end();
      },
    ];
    const texts = numbered(4);
    const error = await unavailable(embedChunks(embedder, texts));
    const sent = server.texts.map((text) => texts.indexOf(text));
    assert.equal(sent.length, 2);
    assert.deepEqual(
      missing(error.embedded),
      [0, 1, 2, 3].filter((index) => index !== sent[0]),
    );
  });

  test("is unavailable for a query after the query timeout", async (t) => {
    const { server, embedder } = await startEmbedder(t, { embeddingsQueryTimeoutMs: 150 });
    server.fault = faults.hang();
    const error = await unavailable(embedder.embed(["one"], { purpose: "query" }));
    assert.match(error.message, /within 150 ms/);
  });
});
