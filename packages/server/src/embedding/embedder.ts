/** What a text is embedded for: some models embed questions and answers differently. */
export type Purpose = "query" | "chunk";

/** Turns texts into vectors. */
export interface Embedder {
  readonly model: string;
  /** The number of dimensions of a vector; null: not known before the first answer. */
  readonly dimensions: number | null;
  /** The settings on which a chunk's vector depends: text and fingerprint together identify a saved vector. */
  readonly fingerprint: string;
  /**
   * Embeds texts, in requests of a limited size, of which all callers together run a limited number in parallel. If a
   * text is too long for the model, only its beginning is embedded. Queries do not wait for chunks.
   * @param texts non-empty texts
   * @returns a vector of length 1 for each text, in their order: the cosine of two vectors is their dot product
   * @throws EmbedderUnavailable if the embedder gave no valid answer
   * @throws TextRefused if the embedder works, but refuses some of the texts
   * @throws the signal's reason if it was aborted
   */
  embed(texts: string[], options: { purpose: Purpose; signal?: AbortSignal }): Promise<Float32Array[]>;
}

/** The vectors that arrived before an error, at the indexes of their texts, so that they can be saved. */
type Embedded = readonly (Float32Array | null)[];

/** The embedder gave no valid answer for a reason other than the texts; a later call may succeed. */
export class EmbedderUnavailable extends Error {
  override name = "EmbedderUnavailable";
  /** How long the endpoint asks clients to wait, ms; null: it does not say. */
  readonly retryAfterMs: number | null;
  readonly embedded: Embedded;

  constructor(message: string, retryAfterMs: number | null = null, embedded: Embedded = []) {
    super(message);
    this.retryAfterMs = retryAfterMs;
    this.embedded = embedded;
  }
}

/** The embedder works, but refuses some texts; sending them again is useless. */
export class TextRefused extends Error {
  override name = "TextRefused";
  /** The index of the first refused text. */
  readonly index: number;
  /** The reason for each refused text, by its index. */
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
