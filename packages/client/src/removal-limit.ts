import { type ExceedingNamespace, TidemarkError } from "./errors.ts";

/** How many records a namespace may lose: a number, a percentage, or false for any number. */
export type RemovalLimit = number | `${number}%` | false;

/** The limit where none is given, … */
export const DEFAULT_REMOVAL_LIMIT = "50%";
/** … which does not hold for namespaces of so few records: there, half is soon gone for good reasons. */
export const UNLIMITED_RECORDS = 100;

/** Whether a namespace is too small for the default limit. */
export const isSmall = ({ records }: ExceedingNamespace) => records <= UNLIMITED_RECORDS;

/** A limit as the wire has it. */
export const sentLimit = (limit: RemovalLimit | undefined) => (limit === false ? undefined : limit);

/** The server's rule, for what the client itself is about to delete: the error with which it is refused. */
export function refusalOf(
  given: RemovalLimit | undefined,
  lost: ExceedingNamespace,
): TidemarkError<"REMOVAL_LIMIT_EXCEEDED"> | undefined {
  const limit = given ?? (!isSmall(lost) && DEFAULT_REMOVAL_LIMIT);
  const most = typeof limit === "string" ? (Number.parseFloat(limit) / 100) * lost.records : limit;
  if (most === false || lost.removed <= most) return undefined;
  return new TidemarkError({
    code: "REMOVAL_LIMIT_EXCEEDED",
    message: "Too many records would be removed.",
    details: { removal_limit: limit, namespaces: [lost] },
  });
}
