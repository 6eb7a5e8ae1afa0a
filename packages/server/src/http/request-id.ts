import { randomBytes } from "node:crypto";

/** Returns an id for a request's log lines, its `X-Request-Id` header and the `trace_id` of its errors. */
export function newRequestId(): string {
  return `req_${randomBytes(12).toString("base64url")}`;
}
