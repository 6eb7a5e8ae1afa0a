import type { Transaction } from "./connections.ts";

/** The first version that can continue an index search after a filter left too few results (iterative scans). */
const VERSION_MIN = "0.8";
/** The maximum dimensions of an HNSW index on `vector`, and on `halfvec`. */
const VECTOR_DIMENSIONS_MAX = 2000;
const HALFVEC_DIMENSIONS_MAX = 4000;

/** The pgvector extension of a database. */
export interface Pgvector {
  /** Its schema, quoted, to qualify its types and operators: only Tidemark's own schema is in the search path. */
  schema: string;
  version: string;
}

/** The database's pgvector; undefined: none. */
export async function findPgvector(tx: Transaction): Promise<Pgvector | undefined> {
  const [row] = await tx.rows<[string, string]>(
    `SELECT quote_ident(n.nspname), e.extversion
     FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'vector'`,
  );
  return row && { schema: row[0], version: row[1] };
}

/** What is missing for comparing vectors, with advice for an operator; null: nothing. */
export function lackOfPgvector(pgvector: Pgvector | undefined): { message: string; advice: string } | null {
  if (!pgvector) {
    const advice =
      "Install pgvector on the database server, and run CREATE EXTENSION vector in the database.";
    return { message: "The database has no pgvector, which semantic search needs.", advice };
  }
  if (isAtLeast(pgvector.version, VERSION_MIN)) return null;
  const message = `The database has pgvector ${pgvector.version}, but semantic search needs ${VERSION_MIN} or newer.`;
  const advice =
    "Upgrade pgvector on the database server, and run ALTER EXTENSION vector UPDATE in the database.";
  return { message, advice };
}

/** {@link lackOfPgvector} in one line; null: vectors can be compared. */
export function pgvectorProblem(pgvector: Pgvector | undefined): string | null {
  const lack = lackOfPgvector(pgvector);
  return lack && `${lack.message} ${lack.advice}`;
}

function isAtLeast(version: string, least: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [majorMin = 0, minorMin = 0] = least.split(".").map(Number);
  return major > majorMin || (major === majorMin && minor >= minorMin);
}

/** The type and operators for an index of vectors with these dimensions; null: too many for an index. */
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
