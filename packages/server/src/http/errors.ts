import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { ApiError, ERRORS, type ErrorCode, errorBody } from "@tidemark/protocol/errors";
import type { FastifyReply, FastifyRequest } from "fastify";
import { newRequestId } from "./request-id.ts";

/** Seconds after which a caller should try again when the server cannot serve it now. */
const RETRY_AFTER_S = 1;

/** What the framework's and its plugins' own errors are in the contract's list, by the 4xx that they ask for. */
const FRAMEWORK_ERRORS: Record<number, ErrorCode> = {
  400: "BAD_REQUEST",
  // Only the files of the docs page answer it, to paths outside their folder.
  403: "RESOURCE_NOT_FOUND",
  404: "RESOURCE_NOT_FOUND",
  413: "PAYLOAD_TOO_LARGE",
  415: "UNSUPPORTED_MEDIA_TYPE",
};

/** The answer that an error stands for; whatever is not an answer is a fault of ours. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const code = FRAMEWORK_ERRORS[(error as { statusCode?: number }).statusCode ?? 0];
  if (code) return new ApiError(code);
  const fault = new ApiError("INTERNAL_ERROR");
  fault.cause = error;
  return fault;
}

/** Answers a request with an error, in the one envelope, and logs what the body must not say. */
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

/** Answers what Node's parser refuses before there is a request: broken HTTP, headers too large or too slow. */
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
