import { ApiError } from "@tidemark/protocol/errors";
import type { Deleted } from "@tidemark/protocol/management";
import type { Storage } from "../storage/port.ts";

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
  return storage.ledger(storeId, async ({ runs }) => {
    const run = await runs.get(runId);
    if (run?.state !== "open" || (connectorId !== null && run.connectorId !== connectorId))
      throw new ApiError("RESOURCE_NOT_FOUND", { id: runId });
    await runs.end([runId], "expired");
    return { id: runId, object: "refresh", deleted: true };
  });
}
