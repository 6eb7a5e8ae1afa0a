/**
 * The committed schema.sql matches the result of the migrations. To rewrite it after adding a migration:
 *
 *   TIDEMARK_WRITE_SCHEMA=1 node scripts/test.ts packages/server/test/conformance/postgres-schema.test.ts
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { openStorage } from "../../src/storage/open.ts";
import type { Sql, Storage } from "../../src/storage/port.ts";
import { postgres } from "../engines.ts";
import { whenDone } from "../when-done.ts";

const FILE = new URL("../../src/storage/postgres/schema.sql", import.meta.url);
const HEAD = `-- The schema that results from the migrations in this folder, only for reading.
-- test/conformance/postgres-schema.test.ts writes it, says how, and fails if it is stale.
`;

/** The tables of this schema, without the rest of the database. */
const TABLES = `SELECT c.oid, c.relname AS name, array_to_string(c.reloptions, ', ') AS options FROM pg_class c
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'`;

/** The parts of TABLES by their definitions, because their names differ between versions of PostgreSQL. */
const PARTS = {
  columns: `SELECT t.name, a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
      || CASE WHEN l.collname = 'default' THEN '' ELSE coalesce(' COLLATE "' || l.collname || '"', '') END
      || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
      || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') AS text
    FROM (${TABLES}) t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_collation l ON l.oid = a.attcollation
    LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
    ORDER BY a.attnum`,
  // Newer versions list NOT NULL as a constraint.
  constraints: `SELECT t.name, pg_get_constraintdef(k.oid) AS text FROM (${TABLES}) t
    JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype IN ('p', 'u', 'f', 'c', 'x')
    ORDER BY k.contype <> 'p', pg_get_constraintdef(k.oid) COLLATE "C"`,
  indexes: `SELECT t.name, replace(pg_get_indexdef(i.indexrelid), current_schema() || '.', '') AS text
    FROM (${TABLES}) t JOIN pg_index i ON i.indrelid = t.oid
    WHERE NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = t.oid)
    ORDER BY pg_get_indexdef(i.indexrelid) COLLATE "C"`,
  triggers: `SELECT t.name, pg_get_triggerdef(g.oid) AS text FROM (${TABLES}) t
    JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
    ORDER BY pg_get_triggerdef(g.oid) COLLATE "C"`,
};

async function describeSchema(storage: Storage): Promise<string> {
  return storage.read(async (sql) => {
    const tables = await sql.all(`${TABLES} ORDER BY c.relname COLLATE "C"`);
    const [columns, constraints, indexes, triggers] = await Promise.all([
      partsOf(sql, PARTS.columns),
      partsOf(sql, PARTS.constraints),
      partsOf(sql, PARTS.indexes),
      partsOf(sql, PARTS.triggers),
    ]);
    const texts = tables.map(({ name, options }) => {
      const lines = [...columns(name), ...constraints(name)].map((line) => `  ${line}`).join(",\n");
      const body = `CREATE TABLE ${name} (\n${lines}\n)${options ? ` WITH (${options})` : ""}`;
      return [body, ...indexes(name), ...triggers(name)].map((statement) => `${statement};\n`).join("");
    });
    return [HEAD, ...texts].join("\n");
  });
}

/** Reads the parts of all tables. @returns a function that returns those of one table */
async function partsOf(sql: Sql, text: string): Promise<(table: unknown) => string[]> {
  const parts = Map.groupBy(await sql.all(text), ({ name }) => name as unknown);
  return (table) => (parts.get(table) ?? []).map((part) => String(part.text));
}

test("PostgreSQL: the committed schema matches the result of the migrations", async (t) => {
  const storage = await openStorage(await postgres.createDatabase(t));
  whenDone(t, () => storage.close());
  const schema = await describeSchema(storage);
  if (process.env.TIDEMARK_WRITE_SCHEMA) writeFileSync(FILE, schema);
  assert.equal(
    readFileSync(FILE, "utf8"),
    schema,
    "schema.sql is stale: the comment at the top of this test says how to rewrite it",
  );
});
