import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readConfig } from "../../src/config.ts";
import { openEmbedder } from "../../src/embedding/endpoint-embedder.ts";
import { readRetryAfter } from "../../src/embedding/endpoint-failure.ts";
import { RequestSlots } from "../../src/embedding/request-slots.ts";

const URL_AND_MODEL = {
  TIDEMARK_EMBEDDINGS_URL: "http://localhost:11434/v1",
  TIDEMARK_EMBEDDINGS_MODEL: "nomic-embed-text",
};

describe("the settings of embeddings", () => {
  test("are none by default: nothing is embedded", () => {
    assert.equal(openEmbedder(readConfig({})), null);
  });

  test("name an endpoint and a model", () => {
    const config = readConfig({
      ...URL_AND_MODEL,
      TIDEMARK_EMBEDDINGS_QUERY_PREFIX: "search_query: ",
      TIDEMARK_EMBEDDINGS_DIMENSIONS: "256",
    });
    const embedder = openEmbedder(config)!;
    assert.deepEqual([embedder.model, embedder.dimensions], ["nomic-embed-text", 256]);
    assert.equal(config.embeddingsQueryPrefix, "search_query: ");
  });

  test("must name a model if they name an endpoint", () => {
    assert.throws(
      () => readConfig({ TIDEMARK_EMBEDDINGS_URL: "http://localhost/v1" }),
      /^Error: TIDEMARK_EMBEDDINGS_MODEL must be set because TIDEMARK_EMBEDDINGS_URL is set\.$/,
    );
  });

  test("refuse an invalid URL, without its password in the message", () => {
    for (const url of ["localhost:11434", "ftp://host/v1", "nonsense", "https://user:pa55word@host/v1"]) {
      assert.throws(
        () => readConfig({ ...URL_AND_MODEL, TIDEMARK_EMBEDDINGS_URL: url }),
        ({ message }: Error) =>
          /^TIDEMARK_EMBEDDINGS_URL is ".*", but must be an http/.test(message) && !message.includes("pa55"),
        url,
      );
    }
  });

  test("refuse a key that is not valid in a header, without showing it", () => {
    for (const key of ["sk-secret\n", "sk secret", "sk-sécret"]) {
      assert.throws(
        () => readConfig({ ...URL_AND_MODEL, TIDEMARK_EMBEDDINGS_API_KEY: key }),
        ({ message }: Error) =>
          message.startsWith("TIDEMARK_EMBEDDINGS_API_KEY is ") && !/s.cret/.test(message),
      );
    }
  });
});

test("the pause that a server asks for is read in every form, and is at most ten minutes", () => {
  const now = Date.UTC(2025, 10, 11, 12);
  const cases: [headers: Record<string, string>, ms: number | null][] = [
    [{}, null],
    [{ "retry-after": "7" }, 7000],
    [{ "retry-after": " 0 " }, 0],
    [{ "retry-after": "0.25" }, 250],
    [{ "retry-after": "Tue, 11 Nov 2025 12:00:30 GMT" }, 30_000],
    [{ "retry-after": "Tue, 11 Nov 2025 11:59:00 GMT" }, 0],
    [{ "retry-after": "Wed, 12 Nov 2025 12:00:00 GMT" }, 600_000],
    [{ "retry-after": "86400" }, 600_000],
    [{ "retry-after": "soon" }, null],
    [{ "retry-after-ms": "1234.5", "retry-after": "2" }, 1235],
    [{ "retry-after-ms": "nonsense", "retry-after": "2" }, 2000],
  ];
  for (const [headers, ms] of cases) {
    assert.equal(readRetryAfter(new Headers(headers), now), ms, JSON.stringify(headers));
  }
});

describe("request slots", () => {
  test("go to waiting work in its order, and skip aborted work", async () => {
    const slots = new RequestSlots(1, 10);
    const order: string[] = [];
    const gate = Promise.withResolvers<void>();
    const giveUp = new AbortController();
    const first = slots.run(() => gate.promise);
    const second = slots.run(async () => order.push("second"), giveUp.signal);
    const third = slots.run(async () => order.push("third"));
    const fourth = slots.run(async () => order.push("fourth"));
    giveUp.abort(new Error("gave up"));
    await assert.rejects(second, /gave up/);
    gate.resolve();
    await Promise.all([first, third, fourth]);
    assert.deepEqual(order, ["third", "fourth"]);
  });

  test("are given back by work that fails", async () => {
    const slots = new RequestSlots(1, 0);
    await assert.rejects(
      slots.run(async () => Promise.reject(new Error("failed"))),
      /failed/,
    );
    assert.equal(await slots.run(async () => "next"), "next");
  });

  test("accept a limited number of waiting requests", async () => {
    const slots = new RequestSlots(1, 1);
    const gate = Promise.withResolvers<void>();
    const running = slots.run(() => gate.promise);
    const waiting = slots.run(async () => "waited");
    await assert.rejects(
      slots.run(async () => "one too many"),
      { name: "EmbedderUnavailable" },
    );
    gate.resolve();
    await running;
    assert.equal(await waiting, "waited");
  });
});
