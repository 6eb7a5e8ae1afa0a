import type { Migration } from "./migrations.ts";

/** What `tidemark doctor` found out about one thing. */
export interface Finding {
  check: string;
  status: "ok" | "warning" | "failed";
  message: string;
  /** What to do about it. */
  advice?: string;
}

/** Compares the schema that a database has with the schemas that this program knows. */
export function examineSchema(applied: number, migrations: Migration[]): Finding {
  const check = "schema";
  const oldest = migrations[0]!.number;
  const newest = migrations.at(-1)!.number;
  if (applied === newest) return { check, status: "ok", message: `schema ${applied}` };
  if (applied > 0 && applied < oldest) {
    return {
      check,
      status: "failed",
      message: `schema ${applied}, but this version of Tidemark needs schema ${oldest} or newer`,
      advice: "Export it with the version that made it, then import it into a new database with this one.",
    };
  }
  if (applied > newest) {
    return {
      check,
      status: "failed",
      message: `schema ${applied}, but this version of Tidemark knows schemas up to ${newest}`,
      advice: "Start the version that upgraded it, or a newer one.",
    };
  }
  return {
    check,
    status: "warning",
    message: applied === 0 ? "no schema yet" : `schema ${applied}; this version uses ${newest}`,
    advice: `The next start ${applied === 0 ? "makes it" : "upgrades it: back up first"}.`,
  };
}
