import { gunzipSync } from "node:zlib";
import { ApiError } from "@tidemark/protocol/errors";

/** A request body as the server received it. */
export interface RequestBody {
  bytes: Uint8Array;
  gzip: boolean;
}

/**
 * Passes a body's decompressed bytes to `use`, which must not keep any of them, and frees the body's memory.
 * @param limitBytes the most bytes after decompression
 * @throws ApiError PAYLOAD_TOO_LARGE, INVALID_JSON (broken gzip), and what `use` throws
 */
export function useBody<T>(body: RequestBody, limitBytes: number, use: (bytes: Buffer) => T): T {
  try {
    return use(readBody(body, limitBytes));
  } finally {
    releaseMemory(body.bytes);
  }
}

/**
 * The body's decompressed bytes.
 * @param limitBytes the most bytes after decompression
 * @throws ApiError PAYLOAD_TOO_LARGE, INVALID_JSON (broken gzip)
 */
export function readBody(body: RequestBody, limitBytes: number): Buffer {
  const { bytes } = body;
  if (!body.gzip) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return gunzipSync(bytes, { maxOutputLength: limitBytes });
  } catch (error) {
    if ((error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE") {
      throw new ApiError("PAYLOAD_TOO_LARGE", { limit_bytes: limitBytes });
    }
    throw new ApiError("INVALID_JSON", { reason: "The body is not valid gzip." });
  }
}

/**
 * Frees a body's memory immediately. Left to the garbage collector, the many megabytes outside the heap would make it
 * mark the whole heap every few requests.
 */
export function releaseMemory({ buffer }: Uint8Array): void {
  (buffer as ArrayBuffer).transfer(0);
}
