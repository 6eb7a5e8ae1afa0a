import type { Logger } from "pino";
import type { Commands } from "./commands.ts";

/** Pause between looks for work, and between two steps of it: requests come first. */
const IDLE_PAUSE_MS = 2000;
const BUSY_PAUSE_MS = 50;
/** What grows old in days is looked for this seldom. */
const FORGET_EVERY_MS = 60_000;

/**
 * Does background work in small steps: sweeps what refreshes left behind and forgets old tombstones.
 * @returns a function that stops it
 */
export function startMaintenance(commands: Commands, log: Logger): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout;
  let forgotAt = Number.NEGATIVE_INFINITY;
  const step = async () => {
    let pause = IDLE_PAUSE_MS;
    try {
      const forgets = performance.now() - forgotAt > FORGET_EVERY_MS;
      if (await commands.runMaintenance(forgets)) pause = BUSY_PAUSE_MS;
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
