import type { TestContext } from "node:test";
import type { Config } from "../../src/config.ts";
import { type Answer, createRoleKey, type TestParts } from "../test-server.ts";
import { type Pipeline, startPipeline } from "./pipeline.ts";

/** A server with one tenant, and functions that call it as an admin. */
export interface Management extends Pipeline {
  admin: string;
  /** Calls a path under the tenant's organization, with the admin's key by default. */
  call(method: string, path: string, body?: unknown, key?: string): Promise<Answer>;
}

export async function startManagement(
  t: TestContext,
  overrides: Partial<Config> = {},
  parts: TestParts = {},
): Promise<Management> {
  const pipeline = await startPipeline(t, overrides, parts);
  const { server, tenant } = pipeline;
  const admin = await createRoleKey(server.commands, "admin", tenant.organizationId);
  return {
    ...pipeline,
    admin,
    call: (method, path, body, key = admin) =>
      server.request(method, `/v1/organizations/${tenant.organizationId}${path}`, {
        headers: { "x-api-key": key },
        ...(body === undefined ? {} : { body }),
      }),
  };
}

/** Returns all pages of a list by following the cursors. */
export async function allPages(
  management: Management,
  path: string,
  limit: number,
): Promise<Answer["body"][]> {
  const pages = [];
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams({ limit: String(limit), ...(cursor === null ? {} : { cursor }) });
    const { body }: Answer = await management.call("GET", `${path}?${query}`);
    pages.push(body);
    cursor = body.next_cursor;
  } while (cursor !== null);
  return pages;
}
