import { Tidemark } from "@tidemark/client";
import type { DestinationConfig } from "./config.ts";
import type { Log } from "./messages.ts";

/** A client that retries while the server is unavailable, and logs when it waits. */
export function connect(config: DestinationConfig, attempts: number, log: Log): Tidemark {
  const { url, apiKey, organizationId, vectorStoreId } = config;
  return new Tidemark({
    url,
    apiKey,
    organizationId,
    vectorStoreId,
    retry: { attempts },
    onWait: ({ reason, delayMs, error }) => {
      const cause = error ? `${error.code}: ${error.message}` : "the rate limit is reached";
      log(reason === "retry" ? "WARN" : "INFO", `Waiting ${Math.ceil(delayMs / 1000)} s: ${cause}`);
    },
  });
}
