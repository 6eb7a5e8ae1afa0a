import { LIMITS } from "@tidemark/protocol/limits";
import type { Logger } from "pino";
import type { Config } from "./config.ts";
import type { Storage } from "./storage/port.ts";

/** Pauses after a step that found no work, and after one that did: requests come first. */
const IDLE_PAUSE_MS = 2000;
const BUSY_PAUSE_MS = 50;
/** Pause between two searches for old rows, which read all stores. */
const FORGET_EVERY_MS = 60_000;

/**
 * Does one small step of background work.
 * @param forgets false to skip the search for old rows, which reads all stores
 * @returns whether more work waits
 */
export async function runMaintenance(
  { storage, config, now }: { storage: Storage; config: Config; now(): number },
  forgets = true,
): Promise<boolean> {
  const swept = await storage.sweep(now());
  const tidied = await storage.index.sweep(now());
  const more = swept.more || tidied.more;
  if (more || !forgets) return more;
  const hourMs = 3_600_000;
  const forgotten = await storage.forget({
    tombstones: now() - config.tombstoneDays * 24 * hourMs,
    openRuns: now() - config.refreshRunHours * hourMs,
    answers: now() - LIMITS.answerKeptMs,
    history: now() - config.historyDays * 24 * hourMs,
  });
  return forgotten.rows > 0;
}

/**
 * Runs maintenance in the background: it sweeps rows that refreshes left behind and forgets old tombstones.
 * @param runMaintenance does one step, in whichever thread
 * @returns a function that stops maintenance
 */
export function startMaintenance(
  runMaintenance: (forgets: boolean) => Promise<boolean>,
  log: Logger,
): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout;
  let forgotAt = Number.NEGATIVE_INFINITY;
  const step = async () => {
    let pause = IDLE_PAUSE_MS;
    try {
      const forgets = performance.now() - forgotAt > FORGET_EVERY_MS;
      if (await runMaintenance(forgets)) pause = BUSY_PAUSE_MS;
      else if (forgets) forgotAt = performance.now();
    } catch (error) {
      log.warn({ err: error }, "maintenance step failed");
    }
    if (!stopped) timer = setTimeout(step, pause);
  };
  timer = setTimeout(step, IDLE_PAUSE_MS);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
