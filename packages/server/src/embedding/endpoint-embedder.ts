import type { Config } from "../config.ts";
import { type Embedder, EmbedderUnavailable, type Purpose, TextRefused } from "./embedder.ts";
import { EmbeddingsEndpoint, Refusal } from "./embeddings-endpoint.ts";
import { RequestSlots } from "./request-slots.ts";

/** Characters of the texts in one request; one token has at least one. */
const REQUEST_CHARACTERS_MAX = 64_000;
/** Characters of one text: what the models with the longest inputs, of 8192 tokens, read of prose. */
const TEXT_CHARACTERS_MAX = 32_000;
/** Times that a text is cut in half because the endpoint finds it too long. */
const CUTS_MAX = 4;
/** Queries that are embedded at once, and requests that may wait for their turn. */
const QUERIES_MAX = 16;
const WAITING_MAX = 1000;
/** What any endpoint takes that takes anything: it tells a text that is refused from an endpoint that refuses all. */
const HARMLESS_TEXT = "Tidemark";

interface Item {
  /** Its place among the caller's texts. */
  index: number;
  text: string;
  cuts: number;
  /** Whether the endpoint failed over it when it was alone. */
  failed: boolean;
}

/** One call of `embed`, and what has come of it. */
interface Call {
  prefix: string;
  timeoutMs: number;
  signal: AbortSignal | undefined;
  embedded: (Float32Array | null)[];
  refusals: Map<number, string>;
  /** Whether the endpoint has taken a text, be it the harmless one: it is not set up wrongly. */
  proven: boolean;
}

/** The embedder that the settings name; null if they name none. */
export function openEmbedder(config: Config): Embedder | null {
  return config.embeddingsUrl === "" ? null : new EndpointEmbedder(config);
}

/** Embeds by any endpoint that speaks OpenAI's protocol. It tries nothing again later: that is the caller's. */
class EndpointEmbedder implements Embedder {
  readonly model: string;
  readonly fingerprint: string;
  #config: Config;
  #endpoint: EmbeddingsEndpoint;
  #slots: Record<Purpose, RequestSlots>;
  /** Texts in a request; fewer than configured after the endpoint has shown that it takes fewer. */
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
    // Someone waits for a query: its limit is for all of it, the wait for a slot too.
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

  /** Takes one batch after the other, in as many lines as there are slots; each waits for each of its slots anew. */
  async #embedAll(texts: string[], slots: RequestSlots, call: Call): Promise<void> {
    let next = 0;
    let failure: unknown;
    const embedNext = async () => {
      // While it waited, the last batch may have gone, or another have failed.
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
    const lines = Math.min(this.#config.embeddingsConcurrency, Math.ceil(texts.length / this.#batchMax));
    // What is under way may still succeed, and is paid for: it is waited for after a failure, too.
    await Promise.all(Array.from({ length: lines }, embedBatches));
    if (failure !== undefined) throw failure;
  }

  #nextBatch(texts: string[], from: number): Item[] {
    const batch: Item[] = [];
    let characters = 0;
    for (let index = from; index < texts.length && batch.length < this.#batchMax; index++) {
      // Half of a surrogate pair is no text for a server.
      const text = cut(texts[index]!, TEXT_CHARACTERS_MAX).toWellFormed();
      characters += text.length;
      if (batch.length > 0 && characters > REQUEST_CHARACTERS_MAX) break;
      batch.push({ index, text, cuts: 0, failed: false });
    }
    return batch;
  }

  /**
   * Embeds a batch; where the endpoint does not take all of it, its halves, until those texts are known that it does
   * not take.
   * @returns whether it took every text as it was
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
      // NaN may come from a text's neighbours in the batch: once more without them.
      await this.#embedBatch(refused, call);
      return false;
    }

    // A server that fails does not say that it is the text: each time it has to show that it works otherwise.
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
      const why = refusal?.message ?? "The embeddings endpoint gave NaN or zeros for the text.";
      call.refusals.set(item.index, why);
    }
    return false;
  }

  /** @param learn whether the endpoint may have refused the batch for its size */
  async #embedHalves(batch: Item[], call: Call, learn: boolean): Promise<boolean> {
    const middle = Math.ceil(batch.length / 2);
    const first = await this.#embedBatch(batch.slice(0, middle), call);
    const second = await this.#embedBatch(batch.slice(middle), call);
    // Nothing was wrong with any of the texts: there were too many of them.
    if (learn && first && second) this.#batchMax = Math.min(this.#batchMax, middle);
    return false;
  }

  /** @throws EmbedderUnavailable if the endpoint does not take a harmless text either: then it is not the texts */
  async #proveWorking(call: Call): Promise<void> {
    const advice = "check TIDEMARK_EMBEDDINGS_MODEL and TIDEMARK_EMBEDDINGS_DIMENSIONS";
    try {
      const [vector] = await this.#request([{ text: HARMLESS_TEXT }], call);
      if (!vector) throw new EmbedderUnavailable("The embeddings endpoint gives NaN or zeros for any text.");
      call.proven = true;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const misconfigured = error.status === 400 || error.status === 422;
      throw new EmbedderUnavailable(misconfigured ? `${error.message} (any text: ${advice})` : error.message);
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
