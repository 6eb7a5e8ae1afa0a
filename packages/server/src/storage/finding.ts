import type { Migration } from "./migrations.ts";

/** What `tidemark doctor` reports about one thing. */
export interface Finding {
  check: string;
  status: "ok" | "warning" | "failed";
  message: string;
  /** What the operator should do. */
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
      advice:
        "Export it with the version that created it, then import it into a new database with this version.",
    };
  }
  if (applied > newest) {
    return {
      check,
      status: "failed",
      message: `schema ${applied}, but this version of Tidemark knows schemas up to ${newest}`,
      advice: "Start the version that upgraded the database, or a newer one.",
    };
  }
  return {
    check,
    status: "warning",
    message: applied === 0 ? "no schema yet" : `schema ${applied}; this version uses ${newest}`,
    advice: applied === 0 ? "The next start creates it." : "Back up first: the next start upgrades it.",
  };
}
