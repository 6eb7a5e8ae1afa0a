import { compareCodePoints } from "@tidemark/protocol/code-point-order";
import { type RecordKey, recordKey } from "../storage/record-key.ts";

/** How little the first ranks outweigh the later ones: the value of the paper. */
const RANK_CONSTANT = 60;

/**
 * Joins rankings of records into one by reciprocal rank fusion: a record's score is the sum of 1 / (60 + rank) over the
 * rankings that have it, ranks counted from 1. Scores of different kinds need not be made comparable for it.
 *
 * Source: Cormack, Clarke, Büttcher: Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods
 * (SIGIR 2009).
 *
 * @param rankings each best first; of a record that one names several times, the first counts, and the others take no
 *   rank
 * @returns each record once, as the first ranking that has it gives it, best first; equal scores by namespace, then id
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
