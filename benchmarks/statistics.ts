/** The value below which a share of the values lies. */
export function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

export const median = (values: number[]): number => quantile(values, 0.5);

/** One line of the table: what was measured, what it is compared with, and whether it is within the budget. */
export interface Measurement {
  what: string;
  measured: string;
  comparedWith: string;
  ratio: string;
  budget: string;
  kept: boolean;
}

export const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

/** A measurement as a ratio to another one of the same run. */
export function ratioTo(
  what: string,
  value: number,
  comparedWith: string,
  comparedValue: number,
  maximum: number,
): Measurement {
  const ratio = value / comparedValue;
  return {
    what,
    measured: ms(value),
    comparedWith: `${comparedWith}: ${ms(comparedValue)}`,
    ratio: ratio.toFixed(2),
    budget: `≤ ${maximum}`,
    kept: ratio <= maximum,
  };
}

/** Prints measurements as a Markdown table. */
export function printTable(measurements: Measurement[]): void {
  const rows = [
    ["what", "measured", "compared with", "ratio", "budget", "kept"],
    ["---", "---", "---", "---", "---", "---"],
    ...measurements.map((m) => [
      m.what,
      m.measured,
      m.comparedWith,
      m.ratio,
      m.budget,
      m.kept ? "yes" : "**no**",
    ]),
  ];
  const widths = rows[0]!.map((_, index) => Math.max(...rows.map((row) => row[index]!.length)));
  for (const row of rows) console.log(`| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`);
}
