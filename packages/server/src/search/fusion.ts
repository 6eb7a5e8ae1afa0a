import { compareCodePoints } from "@tidemark/protocol/code-point-order";
import { type RecordKey, recordKey } from "../storage/record-key.ts";

/** The paper's value: the larger it is, the less the first ranks outweigh the later ones. */
const RANK_CONSTANT = 60;

/**
 * Joins rankings of records into one by reciprocal rank fusion: a record's score is the sum of 1 / (60 + rank) over the
 * rankings that have it, with ranks from 1. The rankings' own scores need not be comparable.
 *
 * Source: Cormack, Clarke, Büttcher: Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods
 * (SIGIR 2009).
 *
 * @param rankings each best first; repetitions of a record within a ranking are ignored and take no rank
 * @returns each record once, as in the first ranking that has it, best first; equal scores by namespace, then id
 */
export function fuseRankings<R extends RecordKey>(
  rankings: readonly (readonly R[])[],
): { record: R; score: number }[] {
  const fused = new Map<string, { record: R; score: number }>();
  for (const ranking of rankings) {
    const ranked = new Set<string>();
    for (const record of ranking) {
      const key = recordKey(record);
      if (ranked.has(key)) continue;
      ranked.add(key);
      const score = 1 / (RANK_CONSTANT + ranked.size);
      const entry = fused.get(key);
      if (entry) entry.score += score;
      else fused.set(key, { record, score });
    }
  }
  return [...fused.values()].sort((a, b) => b.score - a.score || compareKeys(a.record, b.record));
}

/** The order of records whose scores are equal. */
export function compareKeys(a: RecordKey, b: RecordKey): number {
  return compareCodePoints(a.namespace, b.namespace) || compareCodePoints(a.id, b.id);
}
