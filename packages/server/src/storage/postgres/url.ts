/** The schema of Tidemark's tables if the URL names none. */
const SCHEMA = "tidemark";

/** Splits a database URL into the driver's connection string and the schema of Tidemark's tables. */
export function readPostgresUrl(databaseUrl: string): { connectionString: string; schema: string } {
  const url = new URL(databaseUrl);
  const schema = url.searchParams.get("schema") ?? SCHEMA;
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema) || schema.startsWith("pg_")) {
    throw new Error(
      `TIDEMARK_DATABASE_URL names the schema ${JSON.stringify(schema)}; use lower case letters, digits and _.`,
    );
  }
  url.searchParams.delete("schema");
  return { connectionString: url.href, schema };
}
