import { ApiError } from "@tidemark/protocol/errors";
import type { RemovalLimit } from "./read-sync-request.ts";

/** How many records a sync takes away from a namespace. */
export interface Removal {
  namespace: string;
  /** The namespace's live records before the sync. */
  records: number;
  removed: number;
  cleared: number;
}

const MILLION = 1_000_000;

/** @throws ApiError REMOVAL_LIMIT_EXCEEDED if a namespace would lose more than the limit allows */
export function refuseRemovals(limit: RemovalLimit | null, removals: Removal[]): void {
  if (limit === null) return;
  const exceeding = removals.filter(({ records, removed, cleared }) => {
    const lost = removed + cleared;
    return "records" in limit
      ? lost > limit.records
      : lost * 100 * MILLION > limit.percentMillionths * records;
  });
  if (exceeding.length === 0) return;
  throw new ApiError("REMOVAL_LIMIT_EXCEEDED", {
    removal_limit: "records" in limit ? limit.records : `${limit.percentMillionths / MILLION}%`,
    namespaces: exceeding,
  });
}
