import type { RecordRow, RunNamespace } from "../storage/port.ts";
import { belongsTo } from "../storage/visibility.ts";
import type { NamespaceBefore } from "./before.ts";
import type { Plan } from "./plan.ts";

/**
 * Carrying rows into a refresh's generation. An unchanged row gets the generation's number in one of its two slots, so
 * that the refresh writes no new row. Generations are never reused, so numbers of finished refreshes may stay.
 */

const carriersOf = ({ carriedIn, alsoCarriedIn }: RecordRow): number[] =>
  [carriedIn, alsoCarriedIn].filter((generation) => generation !== null);

/**
 * Carries a current row into a run: in place, or as a copy if both slots are taken.
 * @param fingerprint of the operation that named the same content
 * @returns the run's row
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

/** A copy of a row that belongs to one generation only. */
export function ownRow(row: RecordRow, generation: number): RecordRow {
  return { ...row, generation, carriedIn: null, alsoCarriedIn: null, decidedAt: null };
}

/** The row without some generations in its slots; the same object if it had none of them. */
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
 * Removes a row that is not current from some generations, and drops it unless another open run has it.
 * @returns the row, if it stays
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
