import { type ExceedingNamespace, TidemarkError } from "./errors.ts";

/** How many records a namespace may lose: a number, a percentage, or false for any number. */
export type RemovalLimit = number | `${number}%` | false;

/** The limit of a full refresh or `deleteMissing` that gives none. */
export const DEFAULT_REMOVAL_LIMIT = "50%";
/** Namespaces with no more records than this have no default limit, because they often lose half for good reasons. */
export const UNLIMITED_RECORDS = 100;

/** Whether a namespace is too small for the default limit. */
export const isSmall = ({ records }: ExceedingNamespace) => records <= UNLIMITED_RECORDS;

/** The limit as the server reads it. */
export const sentLimit = (limit: RemovalLimit | undefined) => (limit === false ? undefined : limit);

/** Applies the server's rule to the client's own deletes. @returns the error, if the limit rejects them */
export function refusalOf(
  requested: RemovalLimit | undefined,
  lost: ExceedingNamespace,
): TidemarkError<"REMOVAL_LIMIT_EXCEEDED"> | undefined {
  const limit = requested ?? (!isSmall(lost) && DEFAULT_REMOVAL_LIMIT);
  const removedMax = typeof limit === "string" ? (Number.parseFloat(limit) / 100) * lost.records : limit;
  if (removedMax === false || lost.removed <= removedMax) return undefined;
  return new TidemarkError({
    code: "REMOVAL_LIMIT_EXCEEDED",
    message: "Too many records would be removed.",
    details: { removal_limit: limit, namespaces: [lost] },
  });
}
