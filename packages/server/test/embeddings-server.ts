import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { whenDone } from "./when-done.ts";

/** A request for embeddings, as it came. */
export interface EmbeddingsRequest {
  path: string;
  headers: IncomingMessage["headers"];
  texts: string[];
  body: { input: string[]; model: string; encoding_format?: string; dimensions?: number };
}

/** What the protocol answers. A fault may put anything in it. */
interface Answer {
  object: "list";
  model: string;
  data: { object: "embedding"; index: number; embedding: unknown }[];
}

/** An exchange that a fault may spoil. */
interface Exchange {
  request: EmbeddingsRequest;
  response: ServerResponse;
  /** What the server would answer: a fault may change it. */
  answer: Answer;
  /** Answers with JSON: `answer`, unless something else is given. */
  reply(body?: unknown): void;
}

/** Does something else with a request than to answer it as it should be. */
export type Fault = (exchange: Exchange) => void | Promise<void>;

/** An embeddings endpoint on 127.0.0.1, for this process and, by its URL, for others. */
export interface EmbeddingsServer {
  /** The base URL, for `TIDEMARK_EMBEDDINGS_URL`. */
  url: string;
  /** Every request, in the order in which they came, those that were spoilt included. */
  requests: EmbeddingsRequest[];
  /** Every text of every request, in the same order. */
  readonly texts: string[];
  /** The most requests that were under way at once. */
  readonly concurrencyMax: number;
  /** What happens to each request for which `next` has nothing; null: the right answer. */
  fault: Fault | null;
  /** What happens to the next requests, one each; null: the right answer. */
  next: (Fault | null)[];
  /** Resolves when the next request has arrived. */
  arrival(): Promise<EmbeddingsRequest>;
  /** Stops listening and drops every connection, as a server that dies; `revive` listens on the same port again. */
  die(): Promise<void>;
  revive(): Promise<void>;
}

/** The faults that servers have. */
export const faults = {
  /** Takes the request and never answers. */
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

  /** Answers with another text than JSON of embeddings. */
  body:
    (text: string): Fault =>
    ({ response }) => {
      response.writeHead(200, { "content-type": "application/json" }).end(text);
    },

  /** Sends numbers without an end. */
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

  /** Vectors of another number of dimensions. */
  dimensions:
    (count: number): Fault =>
    ({ request, answer, reply }) => {
      for (const item of answer.data) item.embedding = embed(request.texts[item.index]!, count);
      reply(answer);
    },

  /** One vector less than there are texts. */
  tooFew:
    (): Fault =>
    ({ answer, reply }) => {
      answer.data.pop();
      reply(answer);
    },

  /**
   * Puts a value where a number should be, into the vector of each text with `word` in it, or of all.
   * `NaN` and `Infinity` are written as Python does, which is no JSON.
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

  /** Nothing but zeros for each text with `word` in it, or for all. */
  zeros:
    (word = ""): Fault =>
    ({ request, answer, reply }) => {
      for (const item of answer.data) {
        if (request.texts[item.index]!.includes(word)) item.embedding = (item.embedding as number[]).fill(0);
      }
      reply(answer);
    },

  /** Refuses a request if a text has `word` in it. */
  refuse:
    (word: string, status = 400, message = "fault: refused"): Fault =>
    (exchange) =>
      exchange.request.texts.some((text) => text.includes(word))
        ? faults.status(status, {}, message)(exchange)
        : exchange.reply(),

  /** Refuses a request if a text is longer. */
  refuseLonger:
    (characters: number): Fault =>
    (exchange) =>
      exchange.request.texts.some((text) => text.length > characters)
        ? faults.status(400, {}, "This model's maximum context length is 8192 tokens.")(exchange)
        : exchange.reply(),

  /** Refuses a request of more texts. */
  refuseMore:
    (texts: number): Fault =>
    (exchange) =>
      exchange.request.texts.length > texts
        ? faults.status(422, {}, `batch size > maximum allowed batch size ${texts}`)(exchange)
        : exchange.reply(),

  /** Answers as it should, after so many milliseconds. */
  slow:
    (ms: number): Fault =>
    async ({ reply }) => {
      await sleep(ms, undefined, { ref: false });
      reply();
    },

  /** Answers as it should, once the promise is fulfilled. */
  until:
    (promise: Promise<unknown>): Fault =>
    async ({ reply }) => {
      await promise;
      reply();
    },
};

/**
 * Starts an endpoint that speaks the OpenAI embeddings protocol; it ends with the test.
 * @param options.dimensions of a vector, where the request names none
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
    // A client that gives up is a fault of its own.
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
    const reply = (other: unknown = answer) => {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(other));
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
 * A vector for a text, the same each time: each of its words counts at three places that its hash chooses, so that
 * texts that share words are near. Not of length 1, and with no place below zero.
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
