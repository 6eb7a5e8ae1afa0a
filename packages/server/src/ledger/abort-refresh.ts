import { ApiError } from "@tidemark/protocol/errors";
import type { Deleted } from "@tidemark/protocol/management";
import type { Storage } from "../storage/port.ts";
import { RUN_TABLE } from "./run-states.ts";

/**
 * Aborts an open run: maintenance sweeps its staged rows, and its parts may be sent again. The run's row stays as
 * `expired`, so that a last batch that is still under way is rejected instead of applied alone.
 * @param connectorId the calling connector, which may abort only its own runs; null: any run
 * @throws ApiError RESOURCE_NOT_FOUND
 */
export async function abortRefresh(
  storage: Storage,
  storeId: string,
  runId: string,
  connectorId: string | null,
): Promise<Deleted> {
  return storage.ledger(storeId, async (tx) => {
    if (!(await tx.storeExists())) throw new ApiError("VECTOR_STORE_NOT_FOUND", { id: storeId });
    const storedRun = await tx.runs.get(runId);
    const run = connectorId === null || storedRun?.connectorId === connectorId ? storedRun : undefined;
    const reaction = RUN_TABLE[run?.state ?? "none"].abort;
    if (reaction === "RESOURCE_NOT_FOUND") throw new ApiError(reaction, { id: runId });
    await tx.runs.end([runId], reaction);
    return { id: runId, object: "refresh", deleted: true };
  });
}
