/** A random number generator that repeats its numbers in every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function normalized(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return vector.map((value) => value / length);
}

const AREAS = 40;
/** Topics within the areas. */
const TOPICS = 2000;
/** The shares of a vector's squared length that all vectors, its area and its topic determine. */
const COMMON_SHARE = 0.1;
const AREA_SHARE = 0.2;
const TOPIC_SHARE = 0.3;

/**
 * Makes vectors that are distributed like embeddings of texts.
 *
 * Vectors of different areas have a cosine of about 0.1, of one area 0.3, of one topic 0.6. Component i spreads with
 * (1 + i) ^ -0.5, so that about 150 of 384 components matter.
 */
export function clustered(dimensions: number, random: () => number): () => Float32Array {
  const spread = Float32Array.from({ length: dimensions }, (_, index) => (1 + index) ** -0.5);
  const total = Math.sqrt(spread.reduce((sum, value) => sum + value * value, 0));
  const part = (share: number) =>
    spread.map((value) => (Math.sqrt(share) * value * gaussian(random)) / total);
  const common = part(COMMON_SHARE);
  const areas = Array.from({ length: AREAS }, () => part(AREA_SHARE));
  const topics = Array.from({ length: TOPICS }, () => {
    const area = areas[Math.floor(random() * AREAS)]!;
    return part(TOPIC_SHARE).map((value, index) => value + area[index]! + common[index]!);
  });
  return () => {
    // A few topics have many vectors, most have few.
    const topic = topics[Math.floor(random() ** 2 * TOPICS)]!;
    return normalized(
      part(1 - COMMON_SHARE - AREA_SHARE - TOPIC_SHARE).map((value, index) => value + topic[index]!),
    );
  };
}

/** Makes vectors with independent components: the worst case, in which no two vectors are near each other. */
export function independent(dimensions: number, random: () => number): () => Float32Array {
  return () => normalized(Float32Array.from({ length: dimensions }, () => gaussian(random)));
}
