import { LIMITS } from "@tidemark/protocol/limits";
import type { Logger } from "pino";
import type { Config } from "./config.ts";
import type { Storage } from "./storage/port.ts";

/** Pause between looks for work, and between two steps of it: requests come first. */
const IDLE_PAUSE_MS = 2000;
const BUSY_PAUSE_MS = 50;
/** What grows old in days is looked for this seldom. */
const FORGET_EVERY_MS = 60_000;

/**
 * Does a small step of background work; true if another one is worthwhile at once.
 * @param forgets false to leave out what grows old in days, whose look goes over all stores
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
 * Does background work in small steps: sweeps what refreshes left behind and forgets old tombstones.
 * @param runMaintenance does one, in whichever thread
 * @returns a function that stops it
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
