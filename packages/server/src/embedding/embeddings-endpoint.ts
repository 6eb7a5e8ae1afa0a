import { type Config, EMBEDDING_DIMENSIONS_MAX } from "../config.ts";
import { EmbedderUnavailable } from "./embedder.ts";
import { BrokenAnswer, readVectors } from "./embeddings-answer.ts";
import { describeFailure, readRetryAfter } from "./endpoint-failure.ts";

/** The longest number in an answer, with the newline and indentation that some servers add. */
const NUMBER_BYTES_MAX = 48;
/** The bytes of an answer without its numbers, at most. */
const ENVELOPE_BYTES_MAX = 64 * 1024;
/** The largest answer, because it is held in memory as a whole. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;
/** Only the beginning of an error's body is read. */
const ERROR_BYTES_MAX = 16 * 1024;

/**
 * Statuses that a text may cause: 400, 413 and 422 by their meaning, 403 from a firewall that inspects texts, and 500
 * from a server that fails over one text (Ollama if a vector has NaN in it, llama.cpp if a text is too long).
 */
const ABOUT_TEXTS = new Set([400, 403, 413, 422, 500]);

/** Matches the errors of servers for too long texts or requests, but not Go's "context deadline". */
const TOO_LONG = /\btokens\b|\bcontext (?:length|size|window)\b|\btoo (?:long|large|big)\b|\blength\b/i;

/** The endpoint refused the texts, or failed over them. */
export class Refusal extends Error {
  readonly status: number;
  readonly tooLong: boolean;

  constructor(status: number, message: string, tooLong: boolean) {
    super(message);
    this.status = status;
    this.tooLong = tooLong;
  }
}

/** An OpenAI-compatible endpoint for embeddings: sends a request once and validates the answer. */
export class EmbeddingsEndpoint {
  #config: Config;
  #url: URL;
  #headers: Record<string, string>;
  /** The configured dimensions, or else those of the last answer; null: not known yet. */
  dimensions: number | null;

  constructor(config: Config) {
    this.#config = config;
    const url = new URL(config.embeddingsUrl);
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/embeddings`;
    url.hash = "";
    this.#url = url;
    this.#headers = {
      accept: "application/json",
      "content-type": "application/json",
      "user-agent": "tidemark",
      ...keyHeader(config.embeddingsApiKey, url),
    };
    this.dimensions = config.embeddingsDimensions || null;
  }

  /**
   * Requests the vectors of texts.
   * @param timeoutMs the time for the whole answer to arrive
   * @returns vectors of length 1, in the order of the texts; null if the endpoint gave NaN or zeros for a text
   * @throws EmbedderUnavailable, Refusal, or the signal's reason if it was aborted
   */
  async request(
    texts: string[],
    { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal | undefined },
  ): Promise<(Float32Array | null)[]> {
    const { embeddingsModel, embeddingsDimensions } = this.#config;
    const body = JSON.stringify({
      model: embeddingsModel,
      input: texts,
      // Every server supports this format.
      encoding_format: "float",
      ...(embeddingsDimensions > 0 && { dimensions: embeddingsDimensions }),
    });
    const deadline = AbortSignal.timeout(timeoutMs);
    let answer: unknown;
    try {
      answer = await this.#exchange(
        body,
        texts.length,
        signal ? AbortSignal.any([signal, deadline]) : deadline,
      );
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof Refusal || error instanceof EmbedderUnavailable) throw error;
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
      // Unless dimensions are configured, the earlier answer may have been the wrong one: the next answer decides.
      if (embeddingsDimensions === 0) this.dimensions = null;
      const allowed = dimensions === expected ? `at most ${EMBEDDING_DIMENSIONS_MAX}` : `${expected}`;
      throw this.#unavailable(`gave vectors with ${dimensions} dimensions instead of ${allowed}`);
    }
    this.dimensions = dimensions;
    return vectors;
  }

  /**
   * Sends a request and reads its answer.
   * @returns the answer's JSON; undefined if its body is empty
   * @throws EmbedderUnavailable, Refusal, or an error of `fetch` or `JSON.parse`
   */
  async #exchange(body: string, texts: number, signal: AbortSignal): Promise<unknown> {
    // Following a redirect would take the key and the texts to another server.
    const response = await fetch(this.#url, {
      method: "POST",
      headers: this.#headers,
      body,
      redirect: "manual",
      signal,
    });
    if (!response.ok) throw await this.#failure(response);
    const limitBytes = this.#answerBytesMax(texts);
    const { bytes, whole } = await read(response, limitBytes);
    if (!whole) throw this.#unavailable(`gave an answer of more than ${limitBytes} bytes`);
    // Unlike a buffer's own decoder, this one drops a byte order mark, which JSON does not allow.
    const text = new TextDecoder().decode(bytes);
    if (text === "") return undefined;
    // Python writes NaN and infinite numbers, which JSON does not have.
    const invalid = bytes.includes("NaN") || bytes.includes("Infinity");
    return JSON.parse(invalid ? text.replace(/-?\b(?:NaN|Infinity)\b/g, "null") : text);
  }

  async #failure(response: Response): Promise<Refusal | EmbedderUnavailable> {
    const { status, headers } = response;
    const { bytes } = await read(response, ERROR_BYTES_MAX, { tolerant: true });
    const { said, message } = describeFailure(response, `${bytes}`, this.#config.embeddingsApiKey);
    const retryAfterMs = readRetryAfter(headers, Date.now());
    // A server that sends `Retry-After` does not refuse the texts.
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

  #unavailable(problem: string, retryAfterMs: number | null = null): EmbedderUnavailable {
    const message = `The embeddings endpoint at ${this.#url.host} ${problem}`;
    return new EmbedderUnavailable(message.replace(/(?<![.?!])$/, "."), retryAfterMs);
  }
}

function keyHeader(apiKey: string, url: URL): Record<string, string> {
  if (apiKey === "") return {};
  // Azure's deployment URLs have an API version and take the key in `api-key`; Azure's v1 URL has neither.
  return url.searchParams.has("api-version") ? { "api-key": apiKey } : { authorization: `Bearer ${apiKey}` };
}

/**
 * Reads a body up to a limit.
 * @param tolerant whether to return the beginning of a body that breaks off
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

/** Why there is no answer. It shows error codes only, because a message may contain what was sent. */
function reasonOf(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof SyntaxError) return "gave an answer that is not JSON";
    if ("code" in cause && typeof cause.code === "string") return `cannot be reached (${cause.code})`;
  }
  return `cannot be reached (${error instanceof Error ? error.name : "unknown"})`;
}
