import { parentPort, workerData } from "node:worker_threads";
import { openStorage } from "../../src/storage/open.ts";

/** Kills a server as soon as another sync of a store is committed: before the answer is sent, more often than not. */
const { databaseUrl, storeId, pid } = workerData as { databaseUrl: string; storeId: string; pid: number };
const storage = await openStorage(databaseUrl);

async function revision(): Promise<unknown> {
  const of = "SELECT revision FROM store_revisions WHERE store_id = $1";
  return (await storage.read((sql) => sql.all(of, [storeId])))[0]!.revision;
}

const before = await revision();
parentPort!.postMessage("ready");
while ((await revision()) === before);
process.kill(pid, "SIGKILL");
await storage.close();
