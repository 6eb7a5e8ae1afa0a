/** The most different terms that a new segment can have; see {@link sortedOrder}. */
export const TERMS_MAX = 2 ** 21;

/** Insertion sorts up to this many terms quickest. */
const SHORT_RUN = 16;

/** Terms in UTF-8, one after another: term i from `starts[i]` to `starts[i + 1]`. */
export interface EncodedTerms {
  bytes: Uint8Array;
  starts: Uint32Array;
}

const encoder = new TextEncoder();

/** Encodes terms as UTF-8. @throws RangeError if a term is empty or has half of a surrogate pair */
export function encodeTerms(terms: string[]): EncodedTerms {
  const units = terms.reduce((sum, term) => sum + term.length, 0);
  const bytes = new Uint8Array(units * 3);
  const starts = new Uint32Array(terms.length + 1);
  let at = 0;
  for (let number = 0; number < terms.length; number++) {
    const term = terms[number]!;
    if (term === "") throw new RangeError("A term is empty");
    let i = 0;
    for (; i < term.length; i++) {
      const unit = term.charCodeAt(i);
      if (unit >= 128) break;
      bytes[at + i] = unit;
    }
    if (i === term.length) at += i;
    else if (term.isWellFormed()) at += encoder.encodeInto(term, bytes.subarray(at)).written;
    else throw new RangeError(`A term has half of a surrogate pair: ${JSON.stringify(term)}`);
    starts[number + 1] = at;
  }
  return { bytes, starts };
}

/**
 * The indexes of the terms, in the order of the terms' bytes.
 *
 * A double holds the first four bytes of a term and its index, so that the runtime sorts numbers, which is several
 * times quicker than comparing strings all over memory. Terms with the same first bytes are sorted afterwards.
 *
 * @throws RangeError if there are more than TERMS_MAX
 */
export function sortedOrder(terms: EncodedTerms): Uint32Array {
  const { bytes, starts } = terms;
  const count = starts.length - 1;
  if (count > TERMS_MAX)
    throw new RangeError(`A segment has ${count} different terms, more than ${TERMS_MAX}`);
  const keys = new Float64Array(count);
  for (let number = 0; number < count; number++) {
    const start = starts[number]!;
    const end = starts[number + 1]!;
    let head = 0;
    for (let i = 0; i < 4; i++) head = head * 256 + (start + i < end ? bytes[start + i]! : 0);
    keys[number] = head * TERMS_MAX + number;
  }
  keys.sort();
  const order = new Uint32Array(count);
  let runStart = 0;
  let runHead = -1;
  for (let i = 0; i < count; i++) {
    const head = Math.floor(keys[i]! / TERMS_MAX);
    order[i] = keys[i]! - head * TERMS_MAX;
    if (head === runHead) continue;
    if (i - runStart > 1) sortRun(order.subarray(runStart, i), terms);
    runStart = i;
    runHead = head;
  }
  sortRun(order.subarray(runStart), terms);
  return order;
}

function sortRun(run: Uint32Array, terms: EncodedTerms): void {
  if (run.length > SHORT_RUN) run.sort((a, b) => compare(terms, a, b));
  else
    for (let i = 1; i < run.length; i++) {
      const number = run[i]!;
      let at = i;
      for (; at > 0 && compare(terms, run[at - 1]!, number) > 0; at--) run[at] = run[at - 1]!;
      run[at] = number;
    }
}

function compare({ bytes, starts }: EncodedTerms, a: number, b: number): number {
  let atA = starts[a]!;
  let atB = starts[b]!;
  const endA = starts[a + 1]!;
  const endB = starts[b + 1]!;
  while (atA < endA && atB < endB) {
    const difference = bytes[atA++]! - bytes[atB++]!;
    if (difference !== 0) return difference;
  }
  return endA - atA - (endB - atB);
}
