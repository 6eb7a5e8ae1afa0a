import type { BenchmarkEngine } from "./engines.ts";
import { ServerProcess } from "./server-process.ts";
import { type Measurement, median, ms } from "./statistics.ts";

const STARTS = 7;

/** The time from the start of the process until the server is ready, on an existing database. */
export async function measureStart(engine: BenchmarkEngine): Promise<Measurement[]> {
  const server = new ServerProcess(await engine.createDatabase());
  const times: number[] = [];
  for (let i = 0; i <= STARTS; i++) {
    await server.start();
    if (i > 0) times.push(server.startMs);
    await server.end();
  }
  const measured = median(times);
  return [
    {
      what: "ready to serve after start",
      measured: ms(measured),
      comparedWith: "",
      ratio: "",
      budget: "< 1 s",
      kept: measured < 1000,
    },
  ];
}
