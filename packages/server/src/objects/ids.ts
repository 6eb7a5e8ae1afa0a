import { ulid } from "ulid";

export type IdPrefix = "org" | "vs" | "conn" | "sync" | "run";

/** A new id such as `vs_01jd…`: 26 characters that sort by the millisecond of creation. */
export function newId(prefix: IdPrefix): string {
  return `${prefix}_${ulid().toLowerCase()}`;
}
