import type { Logger } from "pino";
import type { Commands } from "./commands.ts";

/** Pause between looks for work, and between two steps of it: requests come first. */
const IDLE_PAUSE_MS = 2000;
const BUSY_PAUSE_MS = 50;

/**
 * Does background work in small steps: sweeps what refreshes left behind and forgets old tombstones.
 * @returns a function that stops it
 */
export function startHousekeeping(commands: Commands, log: Logger): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout;
  const step = async () => {
    let pause = IDLE_PAUSE_MS;
    try {
      if (await commands.keepHouse()) pause = BUSY_PAUSE_MS;
    } catch (error) {
      log.warn({ err: error }, "housekeeping step failed");
    }
    if (!stopped) timer = setTimeout(step, pause);
  };
  timer = setTimeout(step, IDLE_PAUSE_MS);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
