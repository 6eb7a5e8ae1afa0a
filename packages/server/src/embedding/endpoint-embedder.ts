import type { Config } from "../config.ts";
import { type Embedder, EmbedderUnavailable, type Purpose, TextRefused } from "./embedder.ts";
import { EmbeddingsEndpoint, Refusal } from "./embeddings-endpoint.ts";
import { RequestSlots } from "./request-slots.ts";

/** Characters of one request's texts; a token has at least one character. */
const REQUEST_CHARACTERS_MAX = 64_000;
/** Characters of one text: about as much prose as the models with the longest inputs, 8192 tokens, read. */
const TEXT_CHARACTERS_MAX = 32_000;
/** How often a text is halved that the endpoint finds too long. */
const CUTS_MAX = 4;
/** Queries that are embedded in parallel, and requests that may wait for a slot. */
const QUERIES_MAX = 16;
const WAITING_MAX = 1000;
/** Every working endpoint takes this text: it tells a refused text from an endpoint that refuses every text. */
const HARMLESS_TEXT = "Tidemark";

interface Item {
  /** The text's index among the caller's texts. */
  index: number;
  text: string;
  cuts: number;
  /** Whether the endpoint failed over this text in a request of its own. */
  failed: boolean;
}

/** One call of `embed` and its results so far. */
interface Call {
  prefix: string;
  timeoutMs: number;
  signal: AbortSignal | undefined;
  embedded: (Float32Array | null)[];
  refusals: Map<number, string>;
  /** Whether the endpoint has taken any text in this call, which shows that its settings are right. */
  proven: boolean;
}

/** The embedder of the settings; null if no endpoint is configured. */
export function openEmbedder(config: Config): Embedder | null {
  return config.embeddingsUrl === "" ? null : new EndpointEmbedder(config);
}

/** Embeds with an endpoint that speaks OpenAI's protocol. Callers retry later, not this class. */
class EndpointEmbedder implements Embedder {
  readonly model: string;
  readonly fingerprint: string;
  #config: Config;
  #endpoint: EmbeddingsEndpoint;
  #slots: Record<Purpose, RequestSlots>;
  /** Texts of one request; fewer than configured once the endpoint has refused a batch for its size. */
  #batchMax: number;

  constructor(config: Config) {
    this.model = config.embeddingsModel;
    this.fingerprint = JSON.stringify([
      config.embeddingsModel,
      config.embeddingsDimensions,
      config.embeddingsChunkPrefix,
    ]);
    this.#config = config;
    this.#endpoint = new EmbeddingsEndpoint(config);
    this.#slots = {
      query: new RequestSlots(QUERIES_MAX, WAITING_MAX),
      chunk: new RequestSlots(config.embeddingsConcurrency, WAITING_MAX),
    };
    this.#batchMax = config.embeddingsBatchSize;
  }

  get dimensions(): number | null {
    return this.#endpoint.dimensions;
  }

  async embed(
    texts: string[],
    { purpose, signal }: { purpose: Purpose; signal?: AbortSignal },
  ): Promise<Float32Array[]> {
    signal?.throwIfAborted();
    const query = purpose === "query";
    const { embeddingsQueryPrefix, embeddingsChunkPrefix } = this.#config;
    const { embeddingsQueryTimeoutMs, embeddingsTimeoutMs } = this.#config;
    // A person waits for a query, so its timeout includes the wait for a slot.
    const deadline = query ? AbortSignal.timeout(embeddingsQueryTimeoutMs) : undefined;
    const call: Call = {
      prefix: query ? embeddingsQueryPrefix : embeddingsChunkPrefix,
      timeoutMs: query ? embeddingsQueryTimeoutMs : embeddingsTimeoutMs,
      signal: deadline && signal ? AbortSignal.any([signal, deadline]) : (deadline ?? signal),
      embedded: texts.map(() => null),
      refusals: new Map(),
      proven: false,
    };
    try {
      await this.#embedAll(texts, this.#slots[purpose], call);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof EmbedderUnavailable) {
        throw new EmbedderUnavailable(error.message, error.retryAfterMs, call.embedded);
      }
      if (!deadline?.aborted) throw error;
      throw new EmbedderUnavailable(`The query was not embedded within ${embeddingsQueryTimeoutMs} ms.`);
    }
    if (call.refusals.size > 0) throw new TextRefused(call.refusals, call.embedded);
    return call.embedded as Float32Array[];
  }

  /** Embeds all batches, in as many parallel workers as there are slots; each batch waits for a slot of its own. */
  async #embedAll(texts: string[], slots: RequestSlots, call: Call): Promise<void> {
    let next = 0;
    let failure: unknown;
    const embedNext = async () => {
      // While this worker waited, another may have taken the last batch or failed.
      if (failure !== undefined || next >= texts.length) return;
      const batch = this.#nextBatch(texts, next);
      next += batch.length;
      await this.#embedBatch(batch, call);
    };
    const embedBatches = async () => {
      while (failure === undefined && next < texts.length) {
        await slots.run(embedNext, call.signal).catch((error) => {
          failure ??= error;
        });
      }
    };
    const workers = Math.min(this.#config.embeddingsConcurrency, Math.ceil(texts.length / this.#batchMax));
    // After a failure, requests in progress are still awaited: their vectors are paid for.
    await Promise.all(Array.from({ length: workers }, embedBatches));
    if (failure !== undefined) throw failure;
  }

  #nextBatch(texts: string[], from: number): Item[] {
    const batch: Item[] = [];
    let characters = 0;
    for (let index = from; index < texts.length && batch.length < this.#batchMax; index++) {
      // Servers reject half of a surrogate pair.
      const text = cut(texts[index]!, TEXT_CHARACTERS_MAX).toWellFormed();
      characters += text.length;
      if (batch.length > 0 && characters > REQUEST_CHARACTERS_MAX) break;
      batch.push({ index, text, cuts: 0, failed: false });
    }
    return batch;
  }

  /**
   * Embeds a batch. If the endpoint refuses it, the halves are embedded, until the refused texts are known.
   * @returns whether the endpoint took every text whole, in this one request
   */
  async #embedBatch(batch: Item[], call: Call): Promise<boolean> {
    let refusal: Refusal | undefined;
    let refused = batch;
    try {
      const vectors = await this.#request(batch, call);
      for (const [i, { index }] of batch.entries()) call.embedded[index] = vectors[i]!;
      refused = batch.filter((_, i) => vectors[i] === null);
      if (refused.length < batch.length) call.proven = true;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refusal = error;
    }
    if (refused.length === 0) return true;
    if (refused.length < batch.length) {
      // A text's neighbours in the batch may cause its NaN: retry without them.
      await this.#embedBatch(refused, call);
      return false;
    }

    // A server error does not prove that the text causes it: each time, the server has to take a harmless text.
    const failed = refusal === undefined || refusal.status >= 500;
    if (!refusal?.tooLong && (failed || !call.proven)) await this.#proveWorking(call);
    if (batch.length > 1) return this.#embedHalves(batch, call, !failed);
    const item = batch[0]!;
    if (refusal?.tooLong && item.cuts < CUTS_MAX) {
      const half = cut(item.text, Math.ceil(item.text.length / 2));
      await this.#embedBatch([{ ...item, text: half, cuts: item.cuts + 1 }], call);
    } else if (failed && !item.failed) {
      await this.#embedBatch([{ ...item, failed: true }], call);
    } else {
      if (!call.proven) await this.#proveWorking(call);
      const reason = refusal?.message ?? "The embeddings endpoint gave NaN or zeros for the text.";
      call.refusals.set(item.index, reason);
    }
    return false;
  }

  /** @param learn whether the endpoint may have refused the batch for its size */
  async #embedHalves(batch: Item[], call: Call, learn: boolean): Promise<boolean> {
    const middle = Math.ceil(batch.length / 2);
    const first = await this.#embedBatch(batch.slice(0, middle), call);
    const second = await this.#embedBatch(batch.slice(middle), call);
    // The endpoint took both halves whole: it refused the batch for its size.
    if (learn && first && second) this.#batchMax = Math.min(this.#batchMax, middle);
    return false;
  }

  /** @throws EmbedderUnavailable if the endpoint refuses a harmless text too, so that the texts are not the cause */
  async #proveWorking(call: Call): Promise<void> {
    const advice = "for any text: check TIDEMARK_EMBEDDINGS_MODEL and TIDEMARK_EMBEDDINGS_DIMENSIONS";
    try {
      const [vector] = await this.#request([{ text: HARMLESS_TEXT }], call);
      if (!vector) throw new EmbedderUnavailable("The embeddings endpoint gives NaN or zeros for any text.");
      call.proven = true;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const misconfigured = error.status === 400 || error.status === 422;
      throw new EmbedderUnavailable(misconfigured ? `${error.message} (${advice})` : error.message);
    }
  }

  #request(items: { text: string }[], { prefix, timeoutMs, signal }: Call): Promise<(Float32Array | null)[]> {
    return this.#endpoint.request(
      items.map(({ text }) => prefix + text),
      { timeoutMs, signal },
    );
  }
}

/** The beginning of a text, without half a surrogate pair at its end. */
function cut(text: string, characters: number): string {
  return text.length <= characters ? text : text.slice(0, characters).replace(/[\uD800-\uDBFF]$/, "");
}
