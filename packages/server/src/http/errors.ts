import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { ApiError, ERRORS, type ErrorCode, errorBody } from "@tidemark/protocol/errors";
import type { FastifyReply, FastifyRequest } from "fastify";
import { newRequestId } from "./request-id.ts";

/** `Retry-After` of a 503, in seconds. */
const RETRY_AFTER_S = 1;

/** The contract's codes for errors of Fastify and its plugins, by their status. */
const FRAMEWORK_ERRORS: Record<number, ErrorCode> = {
  400: "BAD_REQUEST",
  // Only the docs page answers 403, to paths outside its folder.
  403: "RESOURCE_NOT_FOUND",
  404: "RESOURCE_NOT_FOUND",
  413: "PAYLOAD_TOO_LARGE",
  415: "UNSUPPORTED_MEDIA_TYPE",
};

/** Returns the error to answer with: INTERNAL_ERROR unless `error` is an API or client error. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const code = FRAMEWORK_ERRORS[(error as { statusCode?: number }).statusCode ?? 0];
  if (code) return new ApiError(code);
  const internal = new ApiError("INTERNAL_ERROR");
  internal.cause = error;
  return internal;
}

/** Answers a request with an error body, and logs the cause of a 5xx, which the body must not contain. */
export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const answer = toApiError(error);
  const { status } = ERRORS[answer.code];
  if (status >= 500) {
    request.log.error({ code: answer.code, cause: describeCause(answer.cause) }, "request failed");
  }
  if (answer.code === "SERVICE_UNAVAILABLE") reply.header("retry-after", String(RETRY_AFTER_S));
  return reply
    .code(status)
    .header("content-type", "application/json; charset=utf-8")
    .send(JSON.stringify(errorBody(answer, request.id, new Date())));
}

function describeCause(cause: unknown): unknown {
  return cause instanceof Error ? { message: cause.message, stack: cause.stack } : cause;
}

/** Answers input that Node's parser rejects before a request exists, such as malformed HTTP. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const codes: Record<string, ErrorCode> = {
    HPE_HEADER_OVERFLOW: "HEADERS_TOO_LARGE",
    ERR_HTTP_REQUEST_TIMEOUT: "REQUEST_TIMEOUT",
  };
  const answer = new ApiError(codes[error.code ?? ""] ?? "BAD_REQUEST");
  const { status } = ERRORS[answer.code];
  const traceId = newRequestId();
  const body = JSON.stringify(errorBody(answer, traceId, new Date()));
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n` +
      "Content-Type: application/json; charset=utf-8\r\n" +
      `Content-Length: ${Buffer.byteLength(body)}\r\n` +
      `X-Request-Id: ${traceId}\r\nConnection: close\r\n\r\n${body}`,
  );
}
