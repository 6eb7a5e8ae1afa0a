import { gunzipSync } from "node:zlib";
import { ApiError } from "@tidemark/protocol/errors";

/** A request body as it came over the wire. */
export interface RequestBody {
  bytes: Uint8Array;
  gzip: boolean;
}

/**
 * Does something with a body's bytes, decompressed, and gives their memory back: nothing may keep any of them.
 * @param limitBytes the most that it may have after decompression
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
 * The body's bytes, decompressed.
 * @param limitBytes the most that it may have after decompression
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
 * Gives memory back at once. It would be collected anyway, but by marking the whole heap every few requests, because a
 * body's pieces are many megabytes outside of it.
 */
export function releaseMemory({ buffer }: Uint8Array): void {
  (buffer as ArrayBuffer).transfer(0);
}
