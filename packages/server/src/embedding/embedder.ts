/** What a text is embedded for: some models embed a question differently from what answers it. */
export type Purpose = "query" | "chunk";

/** Makes vectors of texts. */
export interface Embedder {
  readonly model: string;
  /** How many numbers a vector has; null: not known before the first answer. */
  readonly dimensions: number | null;
  /** What a chunk's vector depends on beside its text: a vector that is kept is found again by both. */
  readonly fingerprint: string;
  /**
   * Sends the texts in requests of a limited size, of which a limited number run at once over all callers. A text that
   * is too long for the model is cut, and its vector is that of its beginning. A query waits behind no chunks.
   * @param texts none of them empty
   * @returns a vector of length 1 for each text, in their order: the cosine of two is their dot product
   * @throws EmbedderUnavailable if the embedder did not answer as it should
   * @throws TextRefused if it answers, but not for some of the texts
   * @throws the signal's reason if it was aborted
   */
  embed(texts: string[], options: { purpose: Purpose; signal?: AbortSignal }): Promise<Float32Array[]>;
}

/** The vectors that arrived nevertheless, at the places of their texts, so that nobody pays for them again. */
type Embedded = readonly (Float32Array | null)[];

/** The embedder does not answer, or not as it should: no text is to blame, and later may be better. */
export class EmbedderUnavailable extends Error {
  override name = "EmbedderUnavailable";
  /** How long the embedder wants to be left alone, ms; null where it does not say. */
  readonly retryAfterMs: number | null;
  readonly embedded: Embedded;

  constructor(message: string, retryAfterMs: number | null = null, embedded: Embedded = []) {
    super(message);
    this.retryAfterMs = retryAfterMs;
    this.embedded = embedded;
  }
}

/** The embedder works, but does not take these texts; the same text again is of no use. */
export class TextRefused extends Error {
  override name = "TextRefused";
  /** The first of them. */
  readonly index: number;
  /** Why, for each of them, by its index. */
  readonly refusals: ReadonlyMap<number, string>;
  readonly embedded: Embedded;

  constructor(refusals: ReadonlyMap<number, string>, embedded: Embedded) {
    const index = Math.min(...refusals.keys());
    super(refusals.get(index));
    this.index = index;
    this.refusals = refusals;
    this.embedded = embedded;
  }
}
