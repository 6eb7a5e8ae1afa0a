import type { Indexing } from "@tidemark/protocol/browse";
import type { IndexBuild, IndexStatus } from "../browse/index-status.ts";

/** Describes a store's index in one line, such as `up to date, lexical` or `3 pending …, 1 failed, model (384)`. */
export function describeIndex({ builds, ...indexing }: IndexStatus, now: number): string {
  if (builds.length === 0 && indexing.pending === 0) return "nothing to index yet";
  const serving = builds.find(({ state }) => state === "active");
  const building = builds.find(({ state }) => state === "building");
  const parts = [describeLag(indexing, now), serving ? describeModel(serving) : "not built yet"];
  if (building) parts.push(`building ${describeBuilding(building)}`);
  return parts.join(", ");
}

/** How far the index is behind, such as `up to date` or `3 pending for 12 s`. */
function describeLag({ pending, failed, oldest_pending_at }: Indexing, now: number): string {
  const parts = [];
  if (oldest_pending_at !== null) {
    parts.push(`${pending} pending for ${describeAge(now - Date.parse(oldest_pending_at))}`);
  }
  if (failed > 0) parts.push(`${failed} failed (tidemark index failed)`);
  return parts.join(", ") || "up to date";
}

/** An age in the largest suitable unit, such as `90 s` or `3 h`. */
function describeAge(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 2 * 3600) return `${Math.round(seconds / 60)} min`;
  return seconds < 48 * 3600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

/** `lexical`, or the model and dimensions of a build's vectors. */
export function describeModel({ model, dimensions }: Pick<IndexBuild, "model" | "dimensions">): string {
  if (model === null) return "lexical";
  return dimensions === null ? model : `${model} (${dimensions})`;
}

/** A build's model and progress, such as `lexical: 45 % (450 of 1000 records)`. */
function describeBuilding(build: IndexBuild): string {
  const { records, of: total } = build.progress ?? { records: 0, of: 0 };
  const percent = total === 0 ? 100 : Math.floor((100 * records) / total);
  return `${describeModel(build)}: ${Math.min(percent, 100)} % (${records} of ${total} records)`;
}
