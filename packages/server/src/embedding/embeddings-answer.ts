/** The endpoint's answer is invalid, whatever the texts were. */
export class BrokenAnswer extends Error {}

/**
 * Reads the vectors from an answer of an OpenAI-compatible endpoint.
 * @param answer the body's JSON, not validated
 * @param texts the number of texts in the request
 * @returns a vector of length 1 per text, in the order of the texts; null for a vector with NaN (null in JSON) or only
 *   zeros, which has no direction
 * @throws BrokenAnswer unless the answer has one vector per text, all with the same number of dimensions
 */
export function readVectors(answer: unknown, texts: number): (Float32Array | null)[] {
  const data = isObject(answer) ? answer.data : undefined;
  if (!Array.isArray(data)) throw new BrokenAnswer("it has no list `data`");
  if (data.length !== texts) throw new BrokenAnswer(`it has ${data.length} vectors for ${texts} texts`);
  const embeddings = inOrder(data);
  const dimensions = embeddings[0]!.length;
  if (dimensions === 0 || embeddings.some(({ length }) => length !== dimensions)) {
    throw new BrokenAnswer("its vectors have different numbers of dimensions, or none");
  }
  return embeddings.map(toUnitVector);
}

/** The vectors sorted by `index`, because an endpoint may answer in any order; without indexes, in the given order. */
function inOrder(data: unknown[]): unknown[][] {
  const sorted: unknown[][] = [];
  const numbered = data.some((item) => isObject(item) && typeof item.index === "number");
  for (const [position, item] of data.entries()) {
    const index = numbered && isObject(item) ? item.index : position;
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index >= data.length) {
      throw new BrokenAnswer("a vector's `index` is wrong");
    }
    if (sorted[index]) throw new BrokenAnswer("two vectors have the same `index`");
    if (!isObject(item) || !Array.isArray(item.embedding)) {
      throw new BrokenAnswer("an `embedding` is not a list of numbers");
    }
    sorted[index] = item.embedding;
  }
  return sorted;
}

/** Scaled to length 1, so that the cosine of two is their dot product. */
function toUnitVector(embedding: unknown[]): Float32Array | null {
  let squares = 0;
  for (const value of embedding) {
    if (typeof value === "number") squares += value * value;
    else if (value === null) return null;
    else throw new BrokenAnswer(`an \`embedding\` has a ${typeof value} in it instead of a number`);
  }
  const length = Math.sqrt(squares);
  if (length === 0 || !Number.isFinite(length)) return null;
  const vector = new Float32Array(embedding.length);
  for (let i = 0; i < vector.length; i++) vector[i] = (embedding[i] as number) / length;
  return vector;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
