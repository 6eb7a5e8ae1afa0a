import assert from "node:assert/strict";
import { test } from "node:test";
import type { SearchResponse, SearchResult } from "@tidemark/protocol/search";
import type { SyncResponse } from "@tidemark/protocol/sync";
import { openCommands } from "../../src/commands.ts";
import { readConfig } from "../../src/config.ts";
import { openStorage } from "../../src/storage/open.ts";
import { engines } from "../engines.ts";
import { LONG } from "../long.ts";
import { type ServerProcess, startServerProcess } from "../server-process.ts";
import { createRoleKey, createTenant, syncBody, type Tenant } from "../test-server.ts";

const LOAD_MS = LONG ? 30_000 : 3000;
/** How much must have happened before the test ends, even on a slow machine. */
const REMOVALS_MIN = 20;
const SHOWN_MIN = 100;
const LATE_MS = 60_000;
const NAMESPACES = ["one", "two", "three"];
const SEARCHERS = 4;
const IDS = Array.from({ length: 25 }, (_, index) => `id-${index}`);

type Shared = { tenant: Tenant; reader: string; servers: ServerProcess[]; until: number; history: History };

/** What the writers know from their answers. Contents are numbered in increasing order. */
interface History {
  /** The content of each record, by `namespace id`. */
  live: Map<string, number>;
  /** The last content of each record whose deletion or clearing was acknowledged. */
  gone: Map<string, number>;
  removals: number;
  /** The number of results in all answers. */
  shown: number;
  last: string[];
}

function goesOn({ until, history }: Shared): boolean {
  const now = performance.now();
  const isThin = history.removals < REMOVALS_MIN || history.shown < SHOWN_MIN;
  return now < until || (isThin && now < until + LATE_MS);
}

const pick = <T>(from: T[]): T => from[Math.floor(Math.random() * from.length)]!;
const some = (share: number) => IDS.filter(() => Math.random() < share);

async function post(server: ServerProcess, path: string, key: string, body: object): Promise<unknown> {
  const response = await fetch(server.url + path, {
    method: "POST",
    headers: { "x-api-key": key, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  return answer;
}

/** Writes a namespace of its own, one sync after another: upserts, deletes, refreshes whole and in parts. */
async function write(namespace: string, shared: Shared): Promise<void> {
  const { tenant, servers, history } = shared;
  let content = 0;
  let time = 0;
  const keyOf = (id: string) => `${namespace} ${id}`;
  const upsert = (id: string) => {
    content++;
    const data = { title: `common ${namespace} content_${content}`, content };
    return { operation: { action: "upsert", id, namespace, data }, id, content };
  };
  const remove = (id: string) => {
    const before = history.live.get(keyOf(id));
    if (before === undefined) return;
    history.live.delete(keyOf(id));
    history.gone.set(keyOf(id), before);
    history.removals++;
  };
  while (goesOn(shared)) {
    // Refreshes with the same timestamp are one run.
    time = Math.max(Date.now(), time + 1);
    const sync_timestamp = new Date(time).toISOString();
    const upserts = some(0.3).map(upsert);
    const operations = upserts.map(({ operation }) => operation);
    const named = new Set(upserts.map(({ id }) => id));
    const sync = async (fields: object) => {
      const body = syncBody(tenant, { sync_timestamp, ...fields });
      return (await post(pick(servers), "/v1/pipeline/sync", tenant.key, body)) as SyncResponse;
    };
    let answer: SyncResponse;
    let removed: string[];
    if (Math.random() < 0.3) {
      removed = IDS.filter((id) => !named.has(id));
      const run = { sync_mode: "full_refresh", refresh_id: namespace, namespaces: [namespace] };
      if (Math.random() < 0.5) {
        await sync({ ...run, last_batch: false, operations: operations.splice(0, 4) });
      }
      answer = await sync({ ...run, operations });
    } else {
      removed = some(0.3).filter((id) => !named.has(id));
      const deletes = removed.map((id) => ({ action: "delete", id, namespace }));
      answer = await sync({ operations: [...operations, ...deletes] });
    }
    for (const id of removed) remove(id);
    for (const { id, content } of upserts) history.live.set(keyOf(id), content);
    history.last[NAMESPACES.indexOf(namespace)] = answer.sync_id!;
  }
}

/** Searches all the time. */
async function look(shared: Shared): Promise<void> {
  const { tenant, reader, servers, history } = shared;
  while (goesOn(shared)) {
    const gone = new Map(history.gone);
    const namespace = pick(NAMESPACES);
    const { data } = await search(pick(servers), tenant, reader, {
      query: Math.random() < 0.5 ? "common" : namespace,
      ...(Math.random() < 0.5 && { namespaces: [namespace] }),
      ...(Math.random() < 0.3 && { filter: { content: { $gt: 0 } } }),
    });
    history.shown += data.length;
    const rows = new Set<string>();
    for (const result of data) {
      const key = `${result.namespace} ${result.id}`;
      rows.add(key);
      const floor = gone.get(key) ?? 0;
      const { text, content } = contentsOf(result);
      assert.ok(content > floor, `${key} was shown with the data ${content}, and ${floor} had gone before`);
      assert.ok(text > floor, `${key} was shown with the text ${text}, and ${floor} had gone before`);
      assert.ok(text <= content, `${key} was shown with the text ${text} and the older data ${content}`);
    }
    assert.equal(rows.size, data.length, "one row a record");
  }
}

/** The contents that a result's text and data come from. */
const contentsOf = ({ text, data }: SearchResult) => ({
  text: Number(/content_(\d+)/.exec(text)![1]),
  content: Number(data!.content),
});

const search = (server: ServerProcess, { organizationId, storeId }: Tenant, reader: string, fields: object) =>
  post(server, `/v1/organizations/${organizationId}/vector-stores/${storeId}/search`, reader, {
    limit: 100,
    include: ["data"],
    ...fields,
  }) as Promise<SearchResponse>;

for (const engine of engines) {
  test(`${engine.name}: a search never shows records that were deleted or cleared before it began, and the index ends up to date`, async (t) => {
    const databaseUrl = await engine.createDatabase(t);
    const storage = await openStorage(databaseUrl);
    const commands = openCommands(storage, readConfig({}));
    const tenant = await createTenant(commands);
    const reader = await createRoleKey(commands, "reader", tenant.organizationId);
    await storage.close();
    const servers = await Promise.all(
      Array.from({ length: engine.servers }, () =>
        startServerProcess(t, { TIDEMARK_DATABASE_URL: databaseUrl, TIDEMARK_LOG_LEVEL: "info" }),
      ),
    );
    const history: History = { live: new Map(), gone: new Map(), removals: 0, shown: 0, last: [] };
    const shared = { tenant, reader, servers, until: performance.now() + LOAD_MS, history };
    await Promise.all([
      ...Array.from({ length: SEARCHERS }, () => look(shared)),
      ...NAMESPACES.map((namespace) => write(namespace, shared)),
    ]);
    assert.ok(history.shown >= SHOWN_MIN, `${history.shown} rows shown`);
    assert.ok(history.removals >= REMOVALS_MIN, `${history.removals} records removed`);

    const found: SearchResult[] = [];
    for (const [index, after_sync] of history.last.entries()) {
      const answer = await search(pick(servers), tenant, reader, {
        query: "common",
        namespaces: [NAMESPACES[index]!],
        after_sync,
        timeout_ms: 60_000,
      });
      found.push(...answer.data);
    }
    const shown = found.map((result) => {
      const { text, content } = contentsOf(result);
      assert.equal(text, content);
      return [`${result.namespace} ${result.id}`, content] as const;
    });
    assert.deepEqual(new Map(shown), history.live);
    t.diagnostic(`${history.shown} rows shown, ${history.removals} records removed`);
  });
}
