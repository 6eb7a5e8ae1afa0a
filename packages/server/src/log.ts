import { type Logger, pino } from "pino";
import type { Config } from "./config.ts";

/** Logs JSON lines to standard output. No line has a key or a record's content. */
export function openLog(config: Pick<Config, "logLevel">): Logger {
  return pino({
    level: config.logLevel,
    base: { service: "tidemark" },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: ['headers["x-api-key"]', 'req.headers["x-api-key"]'],
  });
}
