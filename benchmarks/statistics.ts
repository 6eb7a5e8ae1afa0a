/** The value below which a share of the values lies. */
export function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

export const median = (values: number[]): number => quantile(values, 0.5);

/** One line of the table: what was measured, beside what, and whether it keeps the design's budget. */
export interface Measurement {
  what: string;
  measured: string;
  beside: string;
  ratio: string;
  budget: string;
  kept: boolean;
}

export const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

/** A measurement as a ratio to something measured in the same run. */
export function ratioTo(
  what: string,
  ours: number,
  beside: string,
  theirs: number,
  atMost: number,
): Measurement {
  const ratio = ours / theirs;
  return {
    what,
    measured: ms(ours),
    beside: `${beside}: ${ms(theirs)}`,
    ratio: ratio.toFixed(2),
    budget: `≤ ${atMost}`,
    kept: ratio <= atMost,
  };
}

/** Prints measurements as a Markdown table. */
export function printTable(measurements: Measurement[]): void {
  const rows = [
    ["what", "measured", "beside", "ratio", "budget", "kept"],
    ["---", "---", "---", "---", "---", "---"],
    ...measurements.map((m) => [m.what, m.measured, m.beside, m.ratio, m.budget, m.kept ? "yes" : "**no**"]),
  ];
  const widths = rows[0]!.map((_, index) => Math.max(...rows.map((row) => row[index]!.length)));
  for (const row of rows) console.log(`| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`);
}
