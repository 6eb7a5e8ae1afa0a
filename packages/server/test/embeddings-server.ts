import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { whenDone } from "./when-done.ts";

/** A request for embeddings, as the server received it. */
export interface EmbeddingsRequest {
  path: string;
  headers: IncomingMessage["headers"];
  texts: string[];
  body: { input: string[]; model: string; encoding_format?: string; dimensions?: number };
}

/** An answer of the protocol. A fault may put anything into it. */
interface Answer {
  object: "list";
  model: string;
  data: { object: "embedding"; index: number; embedding: unknown }[];
}

/** A request and its answer, which a fault may spoil. */
interface Exchange {
  request: EmbeddingsRequest;
  response: ServerResponse;
  /** The right answer, which a fault may change. */
  answer: Answer;
  /** Answers with JSON: `body` if there is one, else `answer`. */
  reply(body?: unknown): void;
}

/** Handles a request in a wrong way. */
export type Fault = (exchange: Exchange) => void | Promise<void>;

/** An embeddings endpoint on 127.0.0.1, for this process and others. */
export interface EmbeddingsServer {
  /** The base URL, for `TIDEMARK_EMBEDDINGS_URL`. */
  url: string;
  /** Every request in order of arrival, including those with a fault. */
  requests: EmbeddingsRequest[];
  /** Every text of every request, in the same order. */
  readonly texts: string[];
  /** The most requests that were open at the same time. */
  readonly concurrencyMax: number;
  /** The fault of each request for which `next` is empty; null: the right answer. */
  fault: Fault | null;
  /** The faults of the next requests, one each; null: the right answer. */
  next: (Fault | null)[];
  /** Resolves when the next request has arrived. */
  arrival(): Promise<EmbeddingsRequest>;
  /** Stops listening and drops every connection, like a server that dies; `revive` listens on the same port again. */
  die(): Promise<void>;
  revive(): Promise<void>;
}

/** Faults of real servers. */
export const faults = {
  /** Accepts the request and never answers. */
  hang: (): Fault => () => {},

  /** Sends the headers and half of the body, and never the rest. */
  hangInBody: (): Fault => (exchange) => writeHalf(exchange),

  /** Sends the headers and half of the body, and closes the connection. */
  breakOff: (): Fault => (exchange) => writeHalf(exchange, () => exchange.response.destroy()),

  /** Closes the connection without an answer. */
  close:
    (): Fault =>
    ({ response }) => {
      response.destroy();
    },

  /** Answers with a status, such as 429 with `{"retry-after": "2"}`, and the message of an error. */
  status:
    (status: number, headers: Record<string, string> = {}, message = `fault ${status}`): Fault =>
    ({ response }) => {
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(JSON.stringify({ error: { message, type: "fault" } }));
    },

  /** Answers with this text instead of embeddings. */
  body:
    (text: string): Fault =>
    ({ response }) => {
      response.writeHead(200, { "content-type": "application/json" }).end(text);
    },

  /** Sends numbers forever. */
  endless:
    (): Fault =>
    ({ response }) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.write('{"object":"list","data":[{"index":0,"embedding":[');
      const chunk = "0.125,".repeat(10_000);
      const send = () => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on("drain", send);
      send();
    },

  /** Answers with vectors of another number of dimensions. */
  dimensions:
    (count: number): Fault =>
    ({ request, answer, reply }) => {
      for (const item of answer.data) item.embedding = embed(request.texts[item.index]!, count);
      reply(answer);
    },

  /** Answers with one vector fewer than there are texts. */
  tooFew:
    (): Fault =>
    ({ answer, reply }) => {
      answer.data.pop();
      reply(answer);
    },

  /**
   * Replaces a number in the vectors of texts that contain `word`, or of all texts.
   * `NaN` and `Infinity` are written as Python writes them, which is not JSON.
   */
  number:
    (value: unknown, word = ""): Fault =>
    ({ request, answer, response }) => {
      for (const { index, embedding } of answer.data) {
        if (request.texts[index]!.includes(word)) (embedding as unknown[])[1] = "VALUE";
      }
      const written = typeof value === "number" ? String(value) : JSON.stringify(value);
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(answer).replaceAll('"VALUE"', written));
    },

  /** Answers with zeros for texts that contain `word`, or for all texts. */
  zeros:
    (word = ""): Fault =>
    ({ request, answer, reply }) => {
      for (const item of answer.data) {
        if (request.texts[item.index]!.includes(word)) item.embedding = (item.embedding as number[]).fill(0);
      }
      reply(answer);
    },

  /** Rejects requests with a text that contains `word`. */
  refuse:
    (word: string, status = 400, message = "fault: refused"): Fault =>
    (exchange) =>
      exchange.request.texts.some((text) => text.includes(word))
        ? faults.status(status, {}, message)(exchange)
        : exchange.reply(),

  /** Rejects requests with a longer text. */
  refuseLonger:
    (characters: number): Fault =>
    (exchange) =>
      exchange.request.texts.some((text) => text.length > characters)
        ? faults.status(400, {}, "This model's maximum context length is 8192 tokens.")(exchange)
        : exchange.reply(),

  /** Rejects requests with more texts. */
  refuseMore:
    (texts: number): Fault =>
    (exchange) =>
      exchange.request.texts.length > texts
        ? faults.status(422, {}, `batch size > maximum allowed batch size ${texts}`)(exchange)
        : exchange.reply(),

  /** Answers correctly, after this many milliseconds. */
  slow:
    (ms: number): Fault =>
    async ({ reply }) => {
      await sleep(ms, undefined, { ref: false });
      reply();
    },

  /** Answers correctly, when the promise is fulfilled. */
  until:
    (promise: Promise<unknown>): Fault =>
    async ({ reply }) => {
      await promise;
      reply();
    },
};

/**
 * Starts an endpoint that speaks the OpenAI embeddings protocol, and stops it when the test ends.
 * @param options.dimensions of the vectors, if the request names none
 */
export async function startEmbeddingsServer(
  t: TestContext,
  { dimensions = 64 }: { dimensions?: number } = {},
): Promise<EmbeddingsServer> {
  const requests: EmbeddingsRequest[] = [];
  const arrivals: ((request: EmbeddingsRequest) => void)[] = [];
  let running = 0;
  let concurrencyMax = 0;

  const http = createServer(async (incoming, response) => {
    concurrencyMax = Math.max(concurrencyMax, ++running);
    response.on("close", () => running--);
    // The client closed the connection.
    const chunks = await incoming.toArray().catch(() => undefined);
    if (!chunks) return;
    const body = JSON.parse(`${Buffer.concat(chunks)}`) as EmbeddingsRequest["body"];
    const request = { path: incoming.url!, headers: incoming.headers, texts: body.input, body };
    requests.push(request);
    for (const arrived of arrivals.splice(0)) arrived(request);
    const data = request.texts.map((text, index) => {
      return { object: "embedding" as const, index, embedding: embed(text, body.dimensions ?? dimensions) };
    });
    const answer: Answer = { object: "list", model: body.model, data };
    const reply = (content: unknown = answer) => {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(content));
    };
    const fault = server.next.length > 0 ? server.next.shift() : server.fault;
    await (fault ? fault({ request, response, answer, reply }) : reply());
  });

  const listen = (port: number) => once(http.listen(port, "127.0.0.1"), "listening");
  const die = async () => {
    if (!http.listening) return;
    const closed = once(http, "close");
    http.close();
    http.closeAllConnections();
    await closed;
  };
  await listen(0);
  whenDone(t, die);
  const { port } = http.address() as AddressInfo;
  const server: EmbeddingsServer = {
    url: `http://127.0.0.1:${port}/v1`,
    requests,
    get texts() {
      return requests.flatMap(({ texts }) => texts);
    },
    get concurrencyMax() {
      return concurrencyMax;
    },
    fault: null,
    next: [],
    arrival: () => new Promise((resolve) => arrivals.push(resolve)),
    die,
    revive: async () => {
      await listen(port);
    },
  };
  return server;
}

function writeHalf({ response, answer }: Exchange, written: () => void = () => {}): void {
  const text = JSON.stringify(answer);
  response.writeHead(200, { "content-type": "application/json" });
  response.write(text.slice(0, text.length / 2), written);
}

/**
 * The same vector for the same text. The hash of each word chooses three components to raise, so that texts that share
 * words are near. The vector is not of length 1 and has no negative components.
 */
function embed(text: string, dimensions: number): number[] {
  const vector = new Array<number>(dimensions).fill(0);
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [text];
  for (const word of words) {
    // FNV-1a.
    let hash = 0x811c9dc5;
    for (const byte of Buffer.from(word)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
    for (const place of [hash, hash >>> 8, hash >>> 16]) vector[place % dimensions]! += 1;
  }
  return vector;
}
