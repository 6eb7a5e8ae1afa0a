import type { Logger } from "pino";
import type { Commands } from "../commands.ts";
import type { Config } from "../config.ts";
import type { Authentication } from "./authentication.ts";
import type { IndexProgress } from "./index-progress.ts";
import type { Metrics } from "./metrics.ts";
import type { BytesInFlight } from "./request-body.ts";

/** The services and settings that routes use. */
export interface HttpContext {
  config: Config;
  commands: Commands;
  authentication: Authentication;
  metrics: Metrics;
  indexProgress: IndexProgress;
  inFlight: BytesInFlight;
  log: Logger;
  /** Returns the time in ms since 1970. */
  now: () => number;
  /** Whether the server is stopping. */
  draining: () => boolean;
}
