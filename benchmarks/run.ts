/**
 * Measures Tidemark next to simpler code in one run, checks the budgets, and prints a table.
 *
 *   node benchmarks/run.ts [--postgres] [NAME …]
 */
import { type BenchmarkEngine, openPostgresEngine, openSqliteEngine } from "./engines.ts";
import { measureIndexing } from "./indexing.ts";
import { measureLoad } from "./load.ts";
import { measureMillion } from "./million.ts";
import { measureRefresh } from "./refresh.ts";
import { measureSearch } from "./search.ts";
import { measureStart } from "./start.ts";
import { type Measurement, printTable } from "./statistics.ts";
import { measureSync } from "./sync.ts";

const BENCHMARKS: Record<string, (engine: BenchmarkEngine) => Promise<Measurement[]>> = {
  start: measureStart,
  sync: measureSync,
  load: measureLoad,
  million: measureMillion,
  refresh: measureRefresh,
  indexing: measureIndexing,
  search: measureSearch,
};

const args = process.argv.slice(2);
const named = args.filter((arg) => !arg.startsWith("--"));
const engine = await (args.includes("--postgres") ? openPostgresEngine() : openSqliteEngine());
const measurements: Measurement[] = [];
for (const [name, measure] of Object.entries(BENCHMARKS)) {
  if (named.length > 0 && !named.includes(name)) continue;
  console.error(`measuring ${name} …`);
  measurements.push(...(await measure(engine)));
}
await engine.close();
printTable(measurements);
