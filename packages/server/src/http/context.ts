import type { Logger } from "pino";
import type { Commands } from "../commands.ts";
import type { Config } from "../config.ts";
import type { Authentication } from "./authentication.ts";
import type { IndexProgress } from "./index-progress.ts";
import type { Metrics } from "./metrics.ts";
import type { BytesInFlight } from "./request-body.ts";

/** What the routes work with. */
export interface HttpContext {
  config: Config;
  commands: Commands;
  authentication: Authentication;
  metrics: Metrics;
  indexProgress: IndexProgress;
  inFlight: BytesInFlight;
  log: Logger;
  /** The clock, ms since 1970. */
  now: () => number;
  /** True from the moment the server began to stop. */
  draining: () => boolean;
}
