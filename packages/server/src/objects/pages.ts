import { validationError } from "@tidemark/protocol/errors";
import { LIMITS } from "@tidemark/protocol/limits";
import type { List } from "@tidemark/protocol/management";
import type { SqlRow } from "../storage/port.ts";

export interface PageRequest {
  limit?: number;
  cursor?: string;
}

/** The id after which a page begins. @throws ApiError VALIDATION_ERROR */
export function pageStart({ cursor }: PageRequest): string {
  if (cursor === undefined) return "";
  const text = Buffer.from(cursor, "base64url").toString("utf8");
  if (!text.startsWith("after:")) {
    throw validationError([
      { field: "cursor", code: "INVALID_CURSOR", message: "Must be the next_cursor of an earlier page." },
    ]);
  }
  return text.slice("after:".length);
}

export function pageSize({ limit }: PageRequest): number {
  return limit ?? LIMITS.pageRowsDefault;
}

/** A page of rows in order of `id`. Read them with a limit of {@link pageSize} + 1: an extra row means a next page. */
export function page<T>(rows: SqlRow[], request: PageRequest, toObject: (row: SqlRow) => T): List<T> {
  const size = pageSize(request);
  const shown = rows.slice(0, size);
  const hasMore = rows.length > size;
  return {
    object: "list",
    data: shown.map(toObject),
    has_more: hasMore,
    next_cursor: hasMore ? Buffer.from(`after:${shown.at(-1)!.id}`).toString("base64url") : null,
  };
}
