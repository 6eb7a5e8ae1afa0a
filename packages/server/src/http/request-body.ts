import { ApiError, validationError } from "@tidemark/protocol/errors";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type RequestBody, readBody, releaseMemory } from "../wire/read-body.ts";
import { readJson } from "../wire/read-json.ts";

/** Limits the bytes of all bodies that the server receives or processes at the same time. */
export class BytesInFlight {
  #held = 0;
  #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get held(): number {
    return this.#held;
  }

  /** @throws ApiError SERVICE_UNAVAILABLE over the limit, unless this is the only body */
  hold(bytes: number): void {
    if (this.#held > 0 && this.#held + bytes > this.#max) {
      throw new ApiError("SERVICE_UNAVAILABLE", { outcome: "not_applied", reason: "too much is in flight" });
    }
    this.#held += bytes;
  }

  release(bytes: number): void {
    this.#held -= bytes;
  }
}

/**
 * Makes routes receive their JSON bodies as unparsed {@link RequestBody}s, which another thread decompresses,
 * parses and checks. The bytes count as in flight until the answer is sent.
 */
export function receiveRawBodies(app: FastifyInstance, limitBytes: number, inFlight: BytesInFlight): void {
  app.decorateRequest("heldBytes", 0);
  app.addHook("onRequest", async (request, reply) => {
    reply.raw.once("close", () => {
      inFlight.release(request.heldBytes);
      request.heldBytes = 0;
    });
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    "application/json",
    async (request: FastifyRequest, payload: NodeJS.ReadableStream) => {
      // If the caller left during authentication, the payload emits neither `end` nor `error`.
      if (request.raw.destroyed) throw endedEarly();
      const gzip = isGzip(request);
      const announced = Number(request.headers["content-length"] ?? 0);
      if (announced > limitBytes) throw tooLarge(limitBytes);
      const hold = (bytes: number) => {
        inFlight.hold(bytes - request.heldBytes);
        request.heldBytes = bytes;
      };
      hold(announced);
      // Only memory outside Node's shared pool can be transferred to another thread.
      let bytes = Buffer.allocUnsafeSlow(announced);
      let received = 0;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      // After an error, the rest is read and dropped, so that the caller gets an answer, not a reset.
      payload.on("data", (chunk: Buffer) => {
        const total = received + chunk.length;
        if (total > limitBytes) return reject(tooLarge(limitBytes));
        try {
          if (total > bytes.length) {
            // A body of unknown length doubles its buffer, up to the limit.
            const larger = Buffer.allocUnsafeSlow(Math.min(limitBytes, Math.max(total, 2 * bytes.length)));
            hold(larger.length);
            bytes.copy(larger, 0, 0, received);
            bytes = larger;
          }
          chunk.copy(bytes, received);
          received = total;
          // A chunk of a shared buffer must not be released.
          if (chunk.byteLength === chunk.buffer.byteLength) releaseMemory(chunk);
        } catch (error) {
          reject(error);
        }
      });
      payload.on("error", () => reject(endedEarly()));
      payload.on("end", resolve);
      await promise;
      bytes = bytes.subarray(0, received);
      return { bytes, gzip } satisfies RequestBody;
    },
  );
}

/** Makes routes receive their JSON bodies parsed; suits the small bodies of management requests. */
export function receiveJsonBodies(app: FastifyInstance, limitBytes: number, inFlight: BytesInFlight): void {
  receiveRawBodies(app, limitBytes, inFlight);
  app.addHook("preValidation", async (request) => {
    const body = request.body as RequestBody | undefined;
    if (body === undefined) return;
    // Many clients send a content type even with a DELETE.
    if (body.bytes.length === 0 && request.method === "DELETE") {
      request.body = undefined;
      return;
    }
    const { value, inexact } = readJson(readBody(body, limitBytes));
    if (inexact.length > 0) throw validationError(inexact);
    // The validator could not tell null from a missing body.
    if (value === null) {
      throw validationError([{ field: "body", code: "INVALID_TYPE", message: "Must be an object." }]);
    }
    request.body = value;
  });
}

/** The caller rarely gets this 400, but a 5xx would be logged as an error of the server. */
function endedEarly(): ApiError {
  return new ApiError("BAD_REQUEST", {
    reason: "The connection was closed before the whole body arrived.",
  });
}

function tooLarge(limitBytes: number): ApiError {
  return new ApiError("PAYLOAD_TOO_LARGE", { limit_bytes: limitBytes });
}

/** @throws ApiError UNSUPPORTED_MEDIA_TYPE for an encoding other than gzip */
function isGzip(request: FastifyRequest): boolean {
  const encoding = request.headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  if (encoding !== "gzip" && encoding !== "identity")
    throw new ApiError("UNSUPPORTED_MEDIA_TYPE", { encoding });
  return encoding === "gzip";
}

declare module "fastify" {
  interface FastifyRequest {
    /** How many bytes of {@link BytesInFlight} this request holds. */
    heldBytes: number;
  }
}
