import type { RecordRow, RunNamespace } from "../storage/port.ts";
import { belongsTo } from "../storage/visibility.ts";
import type { NamespaceBefore } from "./before.ts";
import type { Plan } from "./plan.ts";

/**
 * Rows that are carried into the generation of a refresh: the row names that generation in one of two places, so that
 * no row is written for an unchanged record. Generations are never used again, so those of refreshes that are over
 * may stay.
 */

const carriersOf = ({ carriedIn, alsoCarriedIn }: RecordRow): number[] =>
  [carriedIn, alsoCarriedIn].filter((generation) => generation !== null);

/**
 * Stages a current row in a run as it is: carries it into the run's generation, or copies it if both places are taken.
 * @param fingerprint of the operation that said the same
 * @returns the row that the run has
 */
export function carryRow(
  plan: Plan,
  { state, runs }: Pick<NamespaceBefore, "state" | "runs">,
  row: RecordRow,
  to: number,
  fingerprint: string | null,
): RecordRow {
  if (belongsTo(row, to)) return row;
  const inUse = (generation: number) =>
    generation === state.generation || runs.some((run) => run.generation === generation);
  const [alsoCarriedIn = null, ...more] = carriersOf(row).filter(inUse);
  const { carry, rows } = plan.writes;
  if (more.length > 0) {
    const copy = { ...ownRow(row, to), fingerprint };
    rows.push(copy);
    return copy;
  }
  const carried = { ...row, carriedIn: to, alsoCarriedIn, fingerprint };
  const { namespace, id, generation } = row;
  const last = carry.at(-1);
  if (fingerprint !== row.fingerprint) rows.push(carried);
  else if (
    last?.namespace === namespace &&
    last.generation === generation &&
    last.alsoCarriedIn === alsoCarriedIn
  ) {
    last.ids.push(id);
  } else carry.push({ namespace, ids: [id], generation, carriedIn: to, alsoCarriedIn });
  return carried;
}

/** A row as a run has it for itself, what it says being the same. */
export function ownRow(row: RecordRow, generation: number): RecordRow {
  return { ...row, generation, carriedIn: null, alsoCarriedIn: null, decidedAt: null };
}

/** A row that is carried into some generations no more; the same one if it was carried into none of them. */
export function release(row: RecordRow, generations: number[]): RecordRow {
  const carriers = carriersOf(row);
  const [carriedIn = null, alsoCarriedIn = null] = carriers.filter(
    (carrier) => !generations.includes(carrier),
  );
  return carriers.some((carrier) => generations.includes(carrier))
    ? { ...row, carriedIn, alsoCarriedIn }
    : row;
}

/**
 * Takes a row that is not current from some generations: it goes, unless another open run has it.
 * @returns the row that stays
 */
export function takeBack(
  plan: Plan,
  row: RecordRow,
  generations: number[],
  runs: RunNamespace[],
): RecordRow | undefined {
  const left = release(row, generations);
  const stays = runs.some(
    ({ generation }) => belongsTo(left, generation) && !generations.includes(generation),
  );
  if (!stays) plan.writes.dropRows.push(row);
  else if (left !== row) plan.writes.rows.push(left);
  return stays ? left : undefined;
}
