import { randomBytes } from "node:crypto";

/** An id for one request: in every log line of it, in `X-Request-Id`, and in the `trace_id` of its errors. */
export function newRequestId(): string {
  return `req_${randomBytes(12).toString("base64url")}`;
}
