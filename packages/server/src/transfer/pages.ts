import type { Sql, SqlRow, SqlValue } from "../storage/port.ts";
import type { Table } from "./tables.ts";

/** The most rows of a page, and about the most bytes of its long columns. */
const PAGE_ROWS = 1000;
const PAGE_BYTES = 4 * 1024 * 1024;
/** Rows per INSERT: few enough for the parameter limit of every engine. */
const STATEMENT_ROWS = 100;

export type Row = SqlValue[];

/**
 * Reads rows of a table by page in the order of its key, so that memory stays constant.
 * @param where a condition with the parameter $1
 */
export async function* readPages(
  sql: Sql,
  { name, columns, key, long }: Table,
  where: string,
  value: SqlValue,
): AsyncGenerator<Row[]> {
  const selected = Object.entries(columns).map(([column, kind]) =>
    kind === "nanoseconds" ? `CAST(t.${column} AS TEXT) AS ${column}` : `t.${column}`,
  );
  const order = key.map((column) => `t.${column}`).join(", ");
  let values: SqlValue[] = [value];
  let from = `FROM ${name} t WHERE ${where}`;
  for (;;) {
    const rest = `${from} ${order && `ORDER BY ${order}`} LIMIT $${values.length + 1}`;
    let limit = PAGE_ROWS;
    if (long.length > 0) {
      const size = long.map((column) => `coalesce(octet_length(t.${column}), 0)`).join(" + ");
      limit = fitting(await sql.all(`SELECT ${size} AS size ${rest}`, [...values, PAGE_ROWS]));
    }
    const rows = await sql.all(`SELECT ${selected.join(", ")} ${rest}`, [...values, limit]);
    if (rows.length > 0) yield rows.map((row) => Object.keys(columns).map((column) => row[column]!));
    if (rows.length < limit || key.length === 0) return;
    const last = key.map((column) => rows.at(-1)![column]!);
    values = [value, ...last];
    from = `FROM ${name} t WHERE ${where} AND (${order}) > (${last.map((_, index) => `$${index + 2}`).join(", ")})`;
  }
}

/** How many rows fit on a page, at least one. */
function fitting(sizes: SqlRow[]): number {
  let bytes = 0;
  const full = sizes.findIndex(({ size }) => {
    bytes += Number(size);
    return bytes > PAGE_BYTES;
  });
  return full === -1 ? PAGE_ROWS : Math.max(1, full);
}

/** Inserts rows; existing ones stay unchanged. @param storeId null for a table without `store_id` */
export async function insertRows(
  sql: Sql,
  { name, columns }: Table,
  storeId: string | null,
  rows: Row[],
): Promise<void> {
  const lead = storeId === null ? [] : [storeId];
  const names = [...lead.map(() => "store_id"), ...Object.keys(columns)];
  const inserts: Promise<unknown>[] = [];
  for (let start = 0; start < rows.length; start += STATEMENT_ROWS) {
    const values = rows.slice(start, start + STATEMENT_ROWS).map((row) => [...lead, ...row]);
    const text = `INSERT INTO ${name} (${names.join(", ")}) VALUES ${places(values)} ON CONFLICT DO NOTHING`;
    inserts.push(sql.all(text, values.flat()));
  }
  await Promise.all(inserts);
}

/** `($1, $2), ($3, $4), …` for some rows. */
function places(rows: Row[]): string {
  let number = 0;
  return rows.map((row) => `(${row.map(() => `$${++number}`).join(", ")})`).join(", ");
}
