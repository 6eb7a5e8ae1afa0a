import type { BenchmarkEngine } from "./engines.ts";
import { makeRecords } from "./records.ts";
import { ServerProcess } from "./server-process.ts";
import { type Measurement, median, ms, ratioTo } from "./statistics.ts";

const BATCH = 5000;
const UNCHANGED = 100_000;
const LARGE = 1_000_000;
const SMALL = 10_000;

/** Staged refreshes: unchanged records in many parts, and the last batch of a large run. */
export async function measureRefresh(engine: BenchmarkEngine): Promise<Measurement[]> {
  const server = new ServerProcess(await engine.createDatabase());
  await server.start();
  await server.createTenant();
  let minute = 0;
  /** Sends records as a run of staged parts; returns the milliseconds of the run and of its last batch. */
  const refresh = async (namespace: string, records: number) => {
    const timestamp = new Date(Date.UTC(2025, 0, 1, 0, ++minute)).toISOString();
    const fields = { sync_mode: "full_refresh", timestamp };
    let total = 0;
    for (let from = 0; from < records; from += BATCH) {
      const body = server.syncBody(namespace, makeRecords(from, BATCH), { ...fields, last_batch: false });
      total += (await server.post("sync", body)).ms;
    }
    const last = await server.post(
      "sync",
      server.syncBody(namespace, [], { ...fields, expected_operations: records }),
    );
    return { total: total + last.ms, last: last.ms, changes: last.answer.changes };
  };
  const first: number[] = [];
  const repeated: number[] = [];
  let rewritten = 0;
  for (let round = 0; round < 3; round++) {
    first.push((await refresh(`tasks_${round}`, UNCHANGED)).total);
    // The index must be up to date, so that its work does not slow the second refresh.
    await server.untilIndexed();
    const unchanged = await refresh(`tasks_${round}`, UNCHANGED);
    repeated.push(unchanged.total);
    rewritten += UNCHANGED - (unchanged.changes as { unchanged: number }).unchanged;
  }
  const small: number[] = [];
  for (let round = 0; round < 5; round++) small.push((await refresh(`small_${round}`, SMALL)).last);
  const large = (await refresh("large", LARGE)).last;
  await server.end();
  return [
    ratioTo(
      `full refresh of 100,000 unchanged records in 20 parts (${rewritten} rewritten)`,
      median(repeated),
      "the first load",
      median(first),
      0.5,
    ),
    {
      ...ratioTo("last batch of a staged run of 1,000,000", large, "of 10,000", median(small), 3),
      budget: `≤ 3, and < ${ms(1000)}`,
      kept: large < 1000 && large / median(small) <= 3,
    },
  ];
}
