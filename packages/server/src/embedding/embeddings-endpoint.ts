import type OpenAI from "openai";
import { type Config, EMBEDDING_DIMENSIONS_MAX } from "../config.ts";
import { EmbedderUnavailable } from "./embedder.ts";
import { BrokenAnswer, readVectors } from "./embeddings-answer.ts";
import { describeFailure, readRetryAfter } from "./endpoint-failure.ts";

/** Bytes that a number has at most in an answer, with the line and the indentation that some servers give it. */
const NUMBER_BYTES_MAX = 48;
/** Bytes of an answer beside the numbers. */
const ENVELOPE_BYTES_MAX = 64 * 1024;
/** An answer is held as a whole while it is read. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;
/** Of an answer that is an error only the beginning is read. */
const ERROR_BYTES_MAX = 16 * 1024;

/** All that is sent: the package's own would tell the endpoint about this machine. */
const SENT_HEADERS = ["accept", "api-key", "authorization", "content-type"];

/**
 * Statuses that may be about a text: 400, 413 and 422 by their meaning, 403 from a firewall that dislikes what it
 * reads, 500 where a server fails over one text (Ollama answers so when a vector has NaN in it, llama.cpp when a text
 * is too long).
 */
const ABOUT_TEXTS = new Set([400, 403, 413, 422, 500]);

/**
 * What servers say of a text, or a request, that is too long for the model; Go's "context deadline" is no such thing.
 */
const TOO_LONG = /\btokens\b|\bcontext (?:length|size|window)\b|\btoo (?:long|large|big)\b|\blength\b/i;

/** The endpoint answered that it does not take these texts, or failed over them. */
export class Refusal extends Error {
  readonly status: number;
  readonly tooLong: boolean;

  constructor(status: number, message: string, tooLong: boolean) {
    super(message);
    this.status = status;
    this.tooLong = tooLong;
  }
}

/** An OpenAI-compatible endpoint for embeddings: one request, one checked answer, no second try. */
export class EmbeddingsEndpoint {
  #config: Config;
  /** The dimensions that are asked for, or else those of the last answer. */
  dimensions: number | null;

  constructor(config: Config) {
    this.#config = config;
    this.dimensions = config.embeddingsDimensions || null;
  }

  /**
   * Asks for the vectors of some texts.
   * @param timeoutMs until the whole answer must have arrived
   * @returns vectors of length 1, in the order of the texts; null where the endpoint gave NaN or zeros
   * @throws EmbedderUnavailable, Refusal, or the signal's reason if it was aborted
   */
  async request(
    texts: string[],
    { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal | undefined },
  ): Promise<(Float32Array | null)[]> {
    const { embeddingsModel, embeddingsDimensions } = this.#config;
    // Loaded with the first request: it takes a while, and most commands never need it.
    const { default: Client } = await import("openai");
    const deadline = AbortSignal.timeout(timeoutMs);
    let failure: Error | undefined;
    const client = new Client({
      ...this.#clientOptions(),
      // The package's own time limit ends with the headers; here the body belongs to the exchange.
      fetch: async (url, init) => {
        const answer = await this.#exchange(url, init, texts.length);
        if (answer instanceof Response) return answer;
        failure = answer;
        throw answer;
      },
    });
    let answer: unknown;
    try {
      answer = await client.embeddings.create(
        {
          model: embeddingsModel,
          input: texts,
          // Its default is base64, which many servers do not know.
          encoding_format: "float",
          ...(embeddingsDimensions > 0 && { dimensions: embeddingsDimensions }),
        },
        { signal: signal ? AbortSignal.any([signal, deadline]) : deadline },
      );
    } catch (error) {
      signal?.throwIfAborted();
      if (failure) throw failure;
      throw this.#unavailable(deadline.aborted ? `gave no answer within ${timeoutMs} ms` : reasonOf(error));
    }
    return this.#check(answer, texts.length);
  }

  #check(answer: unknown, texts: number): (Float32Array | null)[] {
    let vectors: (Float32Array | null)[];
    try {
      vectors = readVectors(answer, texts);
    } catch (error) {
      if (!(error instanceof BrokenAnswer)) throw error;
      throw this.#unavailable(`gave a broken answer: ${error.message}`);
    }
    const dimensions = vectors.find((vector) => vector !== null)?.length;
    if (dimensions === undefined) return vectors;
    const { embeddingsDimensions } = this.#config;
    const expected = this.dimensions ?? dimensions;
    if (dimensions !== expected || dimensions > EMBEDDING_DIMENSIONS_MAX) {
      // What was seen and not asked for may have been the mistake: the next answer decides.
      if (embeddingsDimensions === 0) this.dimensions = null;
      const wanted = dimensions === expected ? `at most ${EMBEDDING_DIMENSIONS_MAX}` : `${expected}`;
      throw this.#unavailable(`gave vectors with ${dimensions} dimensions instead of ${wanted}`);
    }
    this.dimensions = dimensions;
    return vectors;
  }

  #clientOptions(): ConstructorParameters<typeof OpenAI>[0] & object {
    const { embeddingsUrl, embeddingsApiKey } = this.#config;
    const url = new URL(embeddingsUrl);
    const query = Object.fromEntries(url.searchParams);
    url.search = "";
    url.hash = "";
    // Azure's deployment URLs name an API version and want the key in a header of their own; its v1 URL needs neither.
    const azure = "api-version" in query;
    return {
      baseURL: url.href.replace(/\/+$/, ""),
      defaultQuery: query,
      defaultHeaders: {
        Authorization: azure || !embeddingsApiKey ? null : `Bearer ${embeddingsApiKey}`,
        "api-key": azure && embeddingsApiKey ? embeddingsApiKey : null,
      },
      maxRetries: 0,
      logLevel: "off",
      // Without these it would take them from the environment; the key goes into a header above.
      apiKey: "unused",
      adminAPIKey: null,
      organization: null,
      project: null,
    };
  }

  /** Sends a request and reads its answer: the answer with its whole body, or what is wrong. */
  async #exchange(
    url: Parameters<typeof fetch>[0],
    init: RequestInit | undefined,
    texts: number,
  ): Promise<Response | Refusal | EmbedderUnavailable> {
    const given = new Headers(init?.headers);
    const headers = new Headers({ "user-agent": "tidemark" });
    for (const name of SENT_HEADERS) {
      const value = given.get(name);
      if (value !== null) headers.set(name, value);
    }
    // Followed, a redirect would take the key and the texts to another server.
    const response = await fetch(url, { ...init, headers, redirect: "manual" });
    if (!response.ok) return this.#failure(response);
    const limitBytes = this.#answerBytesMax(texts);
    const { bytes, whole } = await read(response, limitBytes);
    if (!whole) return this.#unavailable(`gave an answer of more than ${limitBytes} bytes`);
    // Python writes numbers that are none as JSON does not know them.
    const invalid = bytes.includes("NaN") || bytes.includes("Infinity");
    const body = invalid ? `${bytes}`.replace(/-?\b(?:NaN|Infinity)\b/g, "null") : bytes;
    return new Response(body, { headers: { "content-type": "application/json" } });
  }

  async #failure(response: Response): Promise<Refusal | EmbedderUnavailable> {
    const { status, headers } = response;
    const { bytes } = await read(response, ERROR_BYTES_MAX, { tolerant: true });
    const { said, message } = describeFailure(response, `${bytes}`, this.#config.embeddingsApiKey);
    const retryAfterMs = readRetryAfter(headers, Date.now());
    // A server that asks to come again later says that it is not about the texts.
    if (ABOUT_TEXTS.has(status) && retryAfterMs === null) {
      const tooLong = status === 413 || (status !== 403 && TOO_LONG.test(said));
      return new Refusal(status, `The embeddings endpoint ${message}`, tooLong);
    }
    return this.#unavailable(message, retryAfterMs);
  }

  #answerBytesMax(texts: number): number {
    const dimensions = this.dimensions ?? EMBEDDING_DIMENSIONS_MAX;
    return Math.min(ANSWER_BYTES_MAX, texts * (dimensions * NUMBER_BYTES_MAX + 256) + ENVELOPE_BYTES_MAX);
  }

  #unavailable(what: string, retryAfterMs: number | null = null): EmbedderUnavailable {
    const message = `The embeddings endpoint at ${new URL(this.#config.embeddingsUrl).host} ${what}`;
    return new EmbedderUnavailable(message.replace(/(?<![.?!])$/, "."), retryAfterMs);
  }
}

/**
 * Reads a body up to a limit.
 * @param tolerant whether a body that breaks off is as good as one that ends
 */
async function read(
  { body }: Response,
  limitBytes: number,
  { tolerant = false } = {},
): Promise<{ bytes: Buffer; whole: boolean }> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body ?? []) {
      chunks.push(chunk);
      size += chunk.byteLength;
      if (size > limitBytes) break;
    }
  } catch (error) {
    if (!tolerant) throw error;
  }
  return { bytes: Buffer.concat(chunks).subarray(0, limitBytes), whole: size <= limitBytes };
}

/** Why there is no answer. Only codes: a message may have in it what was sent. */
function reasonOf(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof SyntaxError) return "gave an answer that is not JSON";
    if ("code" in cause && typeof cause.code === "string") return `cannot be reached (${cause.code})`;
  }
  return `cannot be reached (${error instanceof Error ? error.name : "unknown"})`;
}
