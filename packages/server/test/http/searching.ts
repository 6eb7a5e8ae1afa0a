import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Config } from "../../src/config.ts";
import { type Answer, createRoleKey, indexAll, type TestParts } from "../test-server.ts";
import { type Pipeline, startPipeline, upsert } from "./pipeline.ts";

type Fields = Record<string, unknown>;

/** A store with functions that write, index and search its records; `index` runs the indexer. */
export interface Searching extends Pipeline {
  reader: string;
  /** Upserts these records of a namespace. @returns the sync's id */
  put(records: Record<string, Fields>, namespace?: string): Promise<string>;
  /** Deletes records of the namespace `tasks`. @returns the sync's id */
  remove(...ids: string[]): Promise<string>;
  /** Brings the index up to date. */
  index(): Promise<void>;
  /** Searches, with the reader's key by default. @param fields a query or a whole body */
  search(fields: string | Fields, key?: string): Promise<Answer>;
  /** Returns the ids that a search finds, best first. */
  found(fields: string | Fields): Promise<string[]>;
  /** Changes the store's settings with an admin key. */
  set(settings: Fields): Promise<void>;
}

export async function startSearching(
  t: TestContext,
  overrides: Partial<Config> = {},
  parts: TestParts = {},
): Promise<Searching> {
  const pipeline = await startPipeline(t, overrides, parts);
  const { server, tenant } = pipeline;
  const reader = await createRoleKey(server.commands, "reader", tenant.organizationId);
  const store = `/v1/organizations/${tenant.organizationId}/vector-stores/${tenant.storeId}`;
  const accepted = async (fields: Fields) => {
    const { status, body } = await pipeline.sync(fields);
    assert.equal(status, 200, JSON.stringify(body));
    return body.sync_id as string;
  };
  const search: Searching["search"] = (fields, key = reader) => {
    const body = typeof fields === "string" ? { query: fields } : fields;
    return server.post(`${store}/search`, body, { "x-api-key": key });
  };
  return {
    ...pipeline,
    reader,
    put: (records, namespace = "tasks") =>
      accepted({ operations: Object.entries(records).map(([id, data]) => upsert(id, { data, namespace })) }),
    remove: (...ids) =>
      accepted({ operations: ids.map((id) => ({ action: "delete", id, namespace: "tasks" })) }),
    index: () => indexAll(server.commands),
    search,
    async found(fields) {
      const { status, body } = await search(fields);
      assert.equal(status, 200, JSON.stringify(body));
      return body.data.map(({ id }: { id: string }) => id);
    },
    async set(settings) {
      const admin = await createRoleKey(server.commands, "admin", tenant.organizationId);
      const { status, body } = await server.request("PATCH", store, {
        headers: { "x-api-key": admin },
        body: { settings },
      });
      assert.equal(status, 200, JSON.stringify(body));
    },
  };
}
