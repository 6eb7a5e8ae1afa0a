import { ApiError, validationError } from "@tidemark/protocol/errors";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type RequestBody, readBody, releaseMemory } from "../wire/read-body.ts";
import { readJson } from "../wire/read-json.ts";

/** Bounds the bytes of all bodies that are being received or worked on. */
export class BytesInFlight {
  #held = 0;
  #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  /** Bytes held now. */
  get held(): number {
    return this.#held;
  }

  /** @throws ApiError SERVICE_UNAVAILABLE if there is no room; a single body of any allowed size always fits */
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
 * Makes routes receive their JSON bodies unparsed, as {@link RequestBody}: pipeline bodies are large, and are
 * decompressed, parsed and checked in another thread. The bytes count as in flight until the answer was sent.
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
      // The caller may have left while the key was looked up: nothing would tell so any more.
      if (request.raw.destroyed) throw endedEarly();
      const gzip = isGzip(request);
      const announced = Number(request.headers["content-length"] ?? 0);
      if (announced > limitBytes) throw tooLarge(limitBytes);
      const hold = (bytes: number) => {
        inFlight.hold(bytes - request.heldBytes);
        request.heldBytes = bytes;
      };
      hold(announced);
      // Memory of its own, outside Node's shared pool, so that it can be handed to another thread.
      let bytes = Buffer.allocUnsafeSlow(announced);
      let received = 0;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      // After an error the rest is still read, and dropped: the caller gets the answer, not a broken connection.
      payload.on("data", (chunk: Buffer) => {
        const total = received + chunk.length;
        if (total > limitBytes) return reject(tooLarge(limitBytes));
        try {
          if (total > bytes.length) {
            // Only a body of unknown length grows: by doubling, within the limit.
            const larger = Buffer.allocUnsafeSlow(Math.min(limitBytes, Math.max(total, 2 * bytes.length)));
            hold(larger.length);
            bytes.copy(larger, 0, 0, received);
            bytes = larger;
          }
          chunk.copy(bytes, received);
          received = total;
          // Only memory that is all its own: a piece of what others share must stay.
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

/** Makes routes receive their JSON bodies parsed, strictly: for small management requests. */
export function receiveJsonBodies(app: FastifyInstance, limitBytes: number, inFlight: BytesInFlight): void {
  receiveRawBodies(app, limitBytes, inFlight);
  app.addHook("preValidation", async (request) => {
    const body = request.body as RequestBody | undefined;
    if (body === undefined) return;
    // Many clients send a content type with every request, with a DELETE too.
    if (body.bytes.length === 0 && request.method === "DELETE") {
      request.body = undefined;
      return;
    }
    const { value, inexact } = readJson(readBody(body, limitBytes));
    if (inexact.length > 0) throw validationError(inexact);
    // The validator could not tell it from a body that is missing.
    if (value === null) {
      throw validationError([{ field: "body", code: "INVALID_TYPE", message: "Must be an object." }]);
    }
    request.body = value;
  });
}

/** Hardly anybody reads this answer; it keeps out of the log of faults what was no fault of the server's. */
function endedEarly(): ApiError {
  return new ApiError("BAD_REQUEST", {
    reason: "The connection was closed before the whole body was there.",
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
    /** How much of {@link BytesInFlight} this request holds. */
    heldBytes: number;
  }
}
