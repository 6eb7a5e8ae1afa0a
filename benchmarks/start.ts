import type { BenchmarkEngine } from "./engines.ts";
import { ServerProcess } from "./server-process.ts";
import { type Measurement, median, ms } from "./statistics.ts";

const STARTS = 7;

/** From the start of the process until it serves, on a database that exists. */
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
      beside: "",
      ratio: "",
      budget: "< 1 s",
      kept: measured < 1000,
    },
  ];
}
