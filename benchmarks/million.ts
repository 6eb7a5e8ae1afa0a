import type { BenchmarkEngine } from "./engines.ts";
import { makeRecords } from "./records.ts";
import { ServerProcess } from "./server-process.ts";
import { type Measurement, median, ratioTo } from "./statistics.ts";

const BATCH = 5000;
const RECORDS = 1_000_000;
const SMALL = 10_000;
const REPEATS = 9;

/** The time of a sync and the server's memory while a namespace grows to a million records. */
export async function measureMillion(engine: BenchmarkEngine): Promise<Measurement[]> {
  const server = new ServerProcess(await engine.createDatabase());
  await server.start({ TIDEMARK_INDEXING: "off" });
  await server.createTenant();
  let next = 0;
  const grow = async () => {
    const records = makeRecords(next, BATCH);
    next += BATCH;
    return (await server.post("sync", server.syncBody("tasks", records))).ms;
  };
  // Each comparison fills a new small namespace, so that both sides are measured in the same minute.
  const small: number[] = [];
  const measureSmall = async (name: string) => {
    for (let from = 0; from < SMALL; from += BATCH) {
      await server.post("sync", server.syncBody(name, makeRecords(from, BATCH)));
    }
    return (await server.post("sync", server.syncBody(name, makeRecords(SMALL, BATCH)))).ms;
  };
  let peakMb = 0;
  let halfwayMb = 0;
  while (next < RECORDS) {
    await grow();
    peakMb = Math.max(peakMb, server.residentMb());
    if (next === RECORDS / 2) halfwayMb = peakMb;
  }
  const large: number[] = [];
  for (let i = 0; i < REPEATS; i++) {
    small.push(await measureSmall(`small_${i}`));
    large.push(await grow());
  }
  await server.end();
  return [
    ratioTo("sync of 5000 new records into 1,000,000", median(large), "into 10,000", median(small), 1.3),
    {
      what: "resident memory while ingesting 1,000,000 records",
      measured: `${peakMb.toFixed(0)} MB at most`,
      comparedWith: `after half of them: ${halfwayMb.toFixed(0)} MB`,
      ratio: (peakMb / halfwayMb).toFixed(2),
      budget: "< 400 MB, flat",
      kept: peakMb < 400,
    },
  ];
}
