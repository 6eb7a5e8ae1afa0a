import type { BenchmarkEngine } from "./engines.ts";
import { makeRecords } from "./records.ts";
import { ServerProcess } from "./server-process.ts";
import { type Measurement, ms, quantile } from "./statistics.ts";

const CLIENTS = 8;
const SYNCS_EACH = 12;
const PROBE_EVERY_MS = 20;

/** The delay of the event loop and of /livez while eight clients sync batches without a pause. */
export async function measureLoad(engine: BenchmarkEngine): Promise<Measurement[]> {
  const server = new ServerProcess(await engine.createDatabase());
  await server.start({ TIDEMARK_INDEXING: "off" });
  await server.createTenant();
  let running = true;
  const probes: number[] = [];
  const probe = async () => {
    while (running) {
      const started = performance.now();
      await (await fetch(`${server.url}/livez`)).text();
      probes.push(performance.now() - started);
      await new Promise((resolve) => setTimeout(resolve, PROBE_EVERY_MS));
    }
  };
  const probing = probe();
  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    for (let i = 0; i < SYNCS_EACH; i++) {
      const records = makeRecords((client * SYNCS_EACH + i) * 5000, 5000);
      await server.post("sync", server.syncBody(`tasks_${client}`, records));
    }
  });
  await Promise.all(clients);
  running = false;
  await probing;
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  const lag = Number(/^nodejs_eventloop_lag_p99_seconds (\S+)/m.exec(metrics)![1]) * 1000;
  await server.end();
  const livez = quantile(probes, 0.99);
  return [
    {
      what: "event loop delay p99, 8 clients syncing",
      measured: ms(lag),
      comparedWith: `/livez p99, as a client in the busy benchmark process sees it: ${ms(livez)}`,
      ratio: "",
      budget: "< 50 ms",
      kept: lag < 50,
    },
  ];
}
