import type { Transaction } from "./connections.ts";

/** The version that can go on where an index's search ended too early for a filter. */
const VERSION_MIN = "0.8";
/** An HNSW index of `vector` has at most so many dimensions, and one of `halfvec`. */
const VECTOR_DIMENSIONS_MAX = 2000;
const HALFVEC_DIMENSIONS_MAX = 4000;

/** The pgvector of a database. */
export interface Pgvector {
  /** Quoted: its types and operators are named with it, because only Tidemark's own schema is searched for names. */
  schema: string;
  version: string;
}

/** What a database has of pgvector; undefined: nothing. */
export async function findPgvector(tx: Transaction): Promise<Pgvector | undefined> {
  const [found] = await tx.rows<[string, string]>(
    `SELECT quote_ident(n.nspname), e.extversion
     FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'vector'`,
  );
  return found && { schema: found[0], version: found[1] };
}

/** What is missing for comparing vectors, and what an operator can do; null: nothing. */
export function lackOfPgvector(found: Pgvector | undefined): { message: string; advice: string } | null {
  if (!found) {
    const advice =
      "Install pgvector on the database's server, and run CREATE EXTENSION vector in the database.";
    return { message: "The database has no pgvector, which semantic search needs.", advice };
  }
  if (isAtLeast(found.version, VERSION_MIN)) return null;
  const message = `The database has pgvector ${found.version}, and semantic search needs ${VERSION_MIN} or newer.`;
  const advice = "Upgrade pgvector on its server, and run ALTER EXTENSION vector UPDATE in the database.";
  return { message, advice };
}

/** The same in one line; null: vectors can be compared. */
export function pgvectorProblem(found: Pgvector | undefined): string | null {
  const lack = lackOfPgvector(found);
  return lack && `${lack.message} ${lack.advice}`;
}

function isAtLeast(version: string, least: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [majorMin = 0, minorMin = 0] = least.split(".").map(Number);
  return major > majorMin || (major === majorMin && minor >= minorMin);
}

/** The type that vectors of so many dimensions are indexed as; null: no index can have so many. */
export function indexedType(
  { schema }: Pgvector,
  dimensions: number,
): { type: string; operators: string } | null {
  const nameOf = (type: string) => ({
    type: `${schema}.${type}(${dimensions})`,
    operators: `${schema}.${type}_ip_ops`,
  });
  if (dimensions <= VECTOR_DIMENSIONS_MAX) return nameOf("vector");
  return dimensions <= HALFVEC_DIMENSIONS_MAX ? nameOf("halfvec") : null;
}
