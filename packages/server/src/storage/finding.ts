/** What `tidemark doctor` found out about one thing. */
export interface Finding {
  check: string;
  status: "ok" | "warning" | "failed";
  message: string;
  /** What to do about it. */
  advice?: string;
}

/** Compares the schema that a database has with the newest that this program knows. */
export function examineSchema(applied: number, newest: number): Finding {
  const check = "schema";
  if (applied === newest) return { check, status: "ok", message: `schema ${applied}` };
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
