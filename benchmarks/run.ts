/**
 * Measures the design's budgets side by side with something plainer, in one run, and prints a table.
 *
 *   node benchmarks/run.ts [NAME …]
 */

import { measureLoad } from "./load.ts";
import { measureMillion } from "./million.ts";
import { measureRefresh } from "./refresh.ts";
import { measureStart } from "./start.ts";
import { type Measurement, printTable } from "./statistics.ts";
import { measureSync } from "./sync.ts";

const BENCHMARKS: Record<string, () => Promise<Measurement[]>> = {
  start: measureStart,
  sync: measureSync,
  load: measureLoad,
  million: measureMillion,
  refresh: measureRefresh,
};

const named = process.argv.slice(2);
const measurements: Measurement[] = [];
for (const [name, measure] of Object.entries(BENCHMARKS)) {
  if (named.length > 0 && !named.includes(name)) continue;
  console.error(`measuring ${name} …`);
  measurements.push(...(await measure()));
}
printTable(measurements);
