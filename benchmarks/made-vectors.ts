/** A generator of numbers that are the same in every run (mulberry32). */
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

function ofLengthOne(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return vector.map((value) => value / length);
}

/** Areas, topics within them, and how much of a vector's square is of its area, its topic and itself. */
const AREAS = 40;
const TOPICS = 2000;
const COMMON_SHARE = 0.1;
const AREA_SHARE = 0.2;
const TOPIC_SHARE = 0.3;

/**
 * Vectors as texts' embeddings lie: all of them lean one way a little, those of one subject a lot, and the spread is
 * not alike in all directions (component i spreads with (1 + i) ^ -0.5, so that about 150 of 384 matter). Two of
 * different areas have a cosine of about 0.1, of one area 0.3, of one topic 0.6.
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
    const own = part(TOPIC_SHARE);
    return own.map((value, index) => value + area[index]! + common[index]!);
  });
  return () => {
    // A few topics have much, most have little.
    const topic = topics[Math.floor(random() ** 2 * TOPICS)]!;
    return ofLengthOne(
      part(1 - COMMON_SHARE - AREA_SHARE - TOPIC_SHARE).map((value, index) => value + topic[index]!),
    );
  };
}

/** Every component independent of every other: nothing is near anything, which no text is like. */
export function independent(dimensions: number, random: () => number): () => Float32Array {
  return () => ofLengthOne(Float32Array.from({ length: dimensions }, () => gaussian(random)));
}
