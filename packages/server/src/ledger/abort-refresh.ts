import { ApiError } from "@tidemark/protocol/errors";
import type { Deleted } from "@tidemark/protocol/management";
import type { Storage } from "../storage/port.ts";
import { RUN_TABLE } from "./run-states.ts";

/**
 * Aborts an unfinished run: maintenance sweeps what it staged, and its parts may be sent again. Its row stays as that
 * of an expired run, so that a last batch that is still under way is refused instead of being applied alone.
 * @param connectorId the caller, who may abort only its own runs; null: any run
 * @throws ApiError VECTOR_STORE_NOT_FOUND (the store was deleted meanwhile), RESOURCE_NOT_FOUND
 */
export async function abortRefresh(
  storage: Storage,
  storeId: string,
  runId: string,
  connectorId: string | null,
): Promise<Deleted> {
  return storage.ledger(storeId, async (tx) => {
    if (!(await tx.storeExists())) throw new ApiError("VECTOR_STORE_NOT_FOUND", { id: storeId });
    const found = await tx.runs.get(runId);
    const run = connectorId === null || found?.connectorId === connectorId ? found : undefined;
    const reaction = RUN_TABLE[run?.state ?? "none"].abort;
    if (reaction === "RESOURCE_NOT_FOUND") throw new ApiError(reaction, { id: runId });
    await tx.runs.end([runId], reaction);
    return { id: runId, object: "refresh", deleted: true };
  });
}
