import { CheckExistsRequest, type CheckExistsResponse } from "@tidemark/protocol/check-exists";
import { ApiError, validationError } from "@tidemark/protocol/errors";
import { LIMITS } from "@tidemark/protocol/limits";
import type { Storage } from "../storage/port.ts";
import { shapeCheck } from "../wire/check-shape.ts";
import type { ParsedJson } from "../wire/read-json.ts";

const requestCheck = shapeCheck(CheckExistsRequest);

/** @throws ApiError BATCH_SIZE_EXCEEDED, VALIDATION_ERROR */
export function readCheckExistsRequest({ value, inexact }: ParsedJson): CheckExistsRequest {
  const ids = (value as { ids?: unknown } | null)?.ids;
  if (Array.isArray(ids) && ids.length > LIMITS.batchOperations) {
    throw new ApiError("BATCH_SIZE_EXCEEDED", { limit: LIMITS.batchOperations, received: ids.length });
  }
  if (!requestCheck.matches(value)) throw validationError([...inexact, ...requestCheck.errors(value)]);
  if (inexact.length > 0) throw validationError(inexact);
  return value;
}

/** Splits the ids into those of live records and the others, from one snapshot. */
export async function checkExists(
  storage: Storage,
  request: CheckExistsRequest,
): Promise<CheckExistsResponse> {
  const live = await storage.liveIds(request.vector_store_id, request.namespace, request.ids);
  const existing_ids: string[] = [];
  const new_ids: string[] = [];
  for (const id of request.ids) (live.has(id) ? existing_ids : new_ids).push(id);
  return { existing_ids, new_ids, total_checked: request.ids.length };
}
