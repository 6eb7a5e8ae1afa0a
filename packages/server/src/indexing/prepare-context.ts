import type { Embedder } from "../embedding/embedder.ts";
import type { EndpointPause } from "../embedding/endpoint-pause.ts";
import type { Storage } from "../storage/port.ts";

/** What preparing a batch needs: the storage, the embedder and the clock. */
export interface PrepareContext {
  storage: Storage;
  embedder: Embedder | null;
  pause: EndpointPause;
  /** ms since 1970. */
  now: () => number;
}
