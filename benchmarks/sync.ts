import type { BenchmarkEngine } from "./engines.ts";
import { makeRecords } from "./records.ts";
import { ServerProcess } from "./server-process.ts";
import { type Measurement, median, ms, ratioTo } from "./statistics.ts";

const BATCH = 5000;
const ROUNDS = 15;

/** Batches of 5000 records of 1 KB over HTTP, alternating with hand-written code for the same rows. */
export async function measureSync(engine: BenchmarkEngine): Promise<Measurement[]> {
  const server = new ServerProcess(await engine.createDatabase());
  await server.start({ TIDEMARK_INDEXING: "off" });
  await server.createTenant();
  const handWritten = await engine.openHandWritten();
  const times = { hand: [], first: [], same: [], newer: [], check: [], bare: [] } as Record<string, number[]>;
  // The first two rounds are warm-up and are not counted.
  for (let round = -2; round < ROUNDS; round++) {
    const records = makeRecords((round + 2) * BATCH, BATCH);
    const ids = records.map(({ id }) => id);
    const body = server.syncBody("tasks", records);
    const newerBody = server.syncBody("tasks", records, { timestamp: "2025-11-11T10:31:00Z" });
    const note = (name: string, value: number) => round >= 0 && times[name]!.push(value);
    note("hand", await handWritten.write("tasks", records));
    note("first", (await server.post("sync", body)).ms);
    note("same", (await server.post("sync", body)).ms);
    note("newer", (await server.post("sync", newerBody)).ms);
    note("bare", await handWritten.check("tasks", ids));
    note("check", (await server.post("check-exists", server.checkBody("tasks", ids))).ms);
  }
  await handWritten.close();
  await server.end();
  const [hand, first, same, newer, check, bare] = [
    times.hand!,
    times.first!,
    times.same!,
    times.newer!,
    times.check!,
    times.bare!,
  ].map(median) as [number, number, number, number, number, number];
  const checkRatio = ratioTo("check-exists of 5000 ids", check, "bare query", bare, 2);
  return [
    ratioTo("sync of 5000 new records", first, "hand-written", hand, 2),
    ratioTo("the same records, same timestamp", same, "the first sync", first, 0.5),
    ratioTo("the same records, newer timestamp", newer, "the first sync", first, 0.5),
    { ...checkRatio, budget: `≤ 2, or ${ms(30)}`, kept: checkRatio.kept || check < 30 },
  ];
}
