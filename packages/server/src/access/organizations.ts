import { ApiError } from "@tidemark/protocol/errors";
import type { List, Organization } from "@tidemark/protocol/management";
import { newId } from "../objects/ids.ts";
import { type PageRequest, page, pageSize, pageStart } from "../objects/pages.ts";
import { isoTime } from "../objects/times.ts";
import type { Sql, SqlRow } from "../storage/port.ts";
import { isNoImport } from "../storage/rules.ts";

/** @throws ApiError ALREADY_EXISTS (the requested id is taken) */
export async function createOrganization(
  sql: Sql,
  { name, id = newId("org") }: { name: string; id?: string },
  now: number,
): Promise<Organization> {
  if (await findOrganization(sql, id)) throw new ApiError("ALREADY_EXISTS", { id });
  await sql.all("INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, $3)", [id, name, now]);
  return (await findOrganization(sql, id))!;
}

export async function findOrganization(sql: Sql, id: string): Promise<Organization | undefined> {
  const [row] = await sql.all("SELECT id, name, created_at FROM organizations WHERE id = $1", [id]);
  return row && toOrganization(row);
}

/** All organizations but the hidden ones, which hold the stores of unfinished imports. */
export async function listOrganizations(sql: Sql, request: PageRequest): Promise<List<Organization>> {
  const rows = await sql.all(
    `SELECT id, name, created_at FROM organizations WHERE id > $1 AND ${isNoImport("id")} ORDER BY id LIMIT $2`,
    [pageStart(request), pageSize(request) + 1],
  );
  return page(rows, request, toOrganization);
}

function toOrganization(row: SqlRow): Organization {
  return {
    id: String(row.id),
    object: "organization",
    name: String(row.name),
    created_at: isoTime(row.created_at!),
  };
}
