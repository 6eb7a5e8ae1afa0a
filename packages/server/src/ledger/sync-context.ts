/** What applying a sync needs besides its request. */
export interface SyncContext {
  syncId: string;
  /** The id for the run, if this request begins one. */
  runId: string;
  connectorId: string;
  traceId: string;
  /** The server's clock, ms since 1970. */
  now: number;
  /** When work on the request began, by `performance.now()`. */
  started: number;
  /** The caller's Idempotency-Key, and the SHA-256 of the request's body. */
  idempotency: { key: string; body: string } | null;
}
