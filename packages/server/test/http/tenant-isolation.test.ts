import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Answer,
  createRoleKey,
  createTenant,
  startTestServer,
  syncBody,
  type Tenant,
  type TestServer,
} from "../test-server.ts";
import { comparable } from "./error-answer.ts";
import { CHECK_EXISTS, SYNC, upsert } from "./pipeline.ts";

/** The ids that a request can name. */
interface Ids {
  organization_id: string;
  vector_store_id: string;
  connector_id: string;
  key_id: string;
  run_id: string;
  sync_id: string;
  namespace: string;
  id: string;
}

const RECORD = { namespace: "clickup_tasks", id: "record-1" };

/** Routes that need no key and reveal no data. */
const PUBLIC = new Set([
  "GET /livez",
  "GET /readyz",
  "GET /v1/pipeline/health",
  "GET /v1/connectors/pipeline/health",
]);
/** Paths that are not in the document. */
const HIDDEN = [
  "/docs",
  "/docs/",
  "/docs/static/index.html",
  "/docs/static/swagger-initializer.js",
  "/docs/*",
];
const PUBLIC_HIDDEN = new Set([...HIDDEN, "/docs/json", "/docs/yaml", "/metrics"]);

/** Valid bodies by route, with every id that they can name. */
const BODIES: Record<string, (ids: Ids) => object> = {
  "/vector-stores/{vector_store_id}/search": () => ({ query: "anything" }),
  "/sync": ({ organization_id, vector_store_id }) =>
    syncBody({} as Tenant, { organization_id, vector_store_id, operations: [upsert("intruder")] }),
  "/check-exists": ({ organization_id, vector_store_id }) => ({
    organization_id,
    vector_store_id,
    namespace: "tasks",
    ids: ["a"],
  }),
  "/vector-stores": () => ({ name: "intruder" }),
  "/vector-stores/{vector_store_id}": () => ({ name: "intruder", description: "intruder" }),
  "/connectors": ({ vector_store_id }) => ({ name: "intruder", vector_store_id }),
  "/connectors/{connector_id}": () => ({ name: "intruder" }),
  "/connectors/{connector_id}/keys": () => ({}),
};

interface Route {
  method: string;
  path: string;
  query: string[];
  hasBody: boolean;
}

/** Returns every route that the server documents. */
async function documentedRoutes(server: TestServer): Promise<Route[]> {
  const { body } = await server.request("GET", "/docs/json");
  return Object.entries(body.paths as Record<string, Record<string, Record<string, unknown>>>).flatMap(
    ([path, operations]) =>
      Object.entries(operations).map(([method, operation]) => ({
        method: method.toUpperCase(),
        path,
        query: ((operation.parameters ?? []) as { name: string; in: string; required?: boolean }[])
          .filter((parameter) => parameter.in === "query" && parameter.required)
          .map(({ name }) => name),
        hasBody: operation.requestBody !== undefined,
      })),
  );
}

/** Returns a request of a route with these ids; fails if this test does not know how to call the route. */
function requestOf(route: Route, ids: Ids): [method: string, path: string, body: object | undefined] {
  const idOf = (name: string) =>
    Object.hasOwn(ids, name)
      ? ids[name as keyof Ids]
      : assert.fail(`${route.path}: add ${name} to this test`);
  const path = route.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(idOf(name)));
  const query = route.query.map((name) => `${name}=${encodeURIComponent(idOf(name))}`).join("&");
  let body: object | undefined;
  if (route.hasBody) {
    const key = route.path.replace(/^\/v1\/(connectors\/)?(pipeline|organizations\/\{organization_id\})/, "");
    const bodyOf = BODIES[key] ?? assert.fail(`${route.method} ${route.path}: add its body to this test`);
    body = bodyOf(ids);
  }
  return [route.method, query ? `${path}?${query}` : path, body];
}

/** Returns everything in an organization that a caller could change. */
async function everythingOf(server: TestServer, admin: string, { organizationId, storeId, key }: Tenant) {
  const get = async (path: string) =>
    (
      await server.request("GET", `/v1/organizations/${organizationId}/${path}?limit=100`, {
        headers: { "x-api-key": admin },
      })
    ).body;
  const ids = { organization_id: organizationId, vector_store_id: storeId };
  const question = { ...ids, namespace: "tasks", ids: ["a", "intruder"] };
  return {
    refreshes: await get(`vector-stores/${storeId}/refreshes`),
    syncs: await get(`vector-stores/${storeId}/syncs`),
    stores: await get("vector-stores"),
    connectors: await get("connectors"),
    records: (await server.post(CHECK_EXISTS, question, { "x-api-key": key })).body,
  };
}

/** Stages a part of a refresh. @returns the ids of the run and the sync */
async function syncedIds(server: TestServer, tenant: Tenant): Promise<Pick<Ids, "run_id" | "sync_id">> {
  const headers = { "x-api-key": tenant.key };
  const part = { sync_mode: "full_refresh", last_batch: false, namespaces: ["staged"] };
  const staged = await server.post(SYNC, syncBody(tenant, part), headers);
  const store = `/v1/organizations/${tenant.organizationId}/vector-stores/${tenant.storeId}`;
  const refreshes = await server.request("GET", `${store}/refreshes`, { headers });
  return { run_id: refreshes.body.data[0].id, sync_id: staged.body.sync_id };
}

async function idsOf(server: TestServer, tenant: Tenant): Promise<Ids> {
  const connector = await server.commands.getConnector(tenant.organizationId, tenant.connectorId);
  return {
    organization_id: tenant.organizationId,
    vector_store_id: tenant.storeId,
    connector_id: tenant.connectorId,
    key_id: connector.keys[0]!.id,
    ...(await syncedIds(server, tenant)),
    ...RECORD,
  };
}

const NOWHERE: Ids = {
  organization_id: "org_nowhere",
  vector_store_id: "vs_nowhere",
  connector_id: "conn_nowhere",
  key_id: "key_nowhere",
  run_id: "run_nowhere",
  sync_id: "sync_nowhere",
  ...RECORD,
};

test("keys of one organization cannot see, change or detect data of another, on any route", async (t) => {
  const server = await startTestServer(t, { rateLimitPerMinute: 1_000_000 });
  const [victim, intruder] = [await createTenant(server.commands), await createTenant(server.commands)];
  await server.post(SYNC, syncBody(victim, { operations: [{ action: "upsert", ...RECORD }] }), {
    "x-api-key": victim.key,
  });
  const admin = await createRoleKey(server.commands, "admin", victim.organizationId);
  const keys: Record<string, string> = {
    connector: intruder.key,
    reader: await createRoleKey(server.commands, "reader", intruder.organizationId),
    "reader of one store": await createRoleKey(
      server.commands,
      "reader",
      intruder.organizationId,
      intruder.storeId,
    ),
    admin: await createRoleKey(server.commands, "admin", intruder.organizationId),
  };
  const [victimIds, ownIds] = [await idsOf(server, victim), await idsOf(server, intruder)];
  const before = await everythingOf(server, admin, victim);
  const routes = await documentedRoutes(server);
  const keyed = routes.filter(({ method, path }) => !PUBLIC.has(`${method} ${path}`));
  assert.ok(keyed.length >= 16, "the document has the routes");

  const call = async (route: Route, ids: Ids, key: string | undefined): Promise<Answer> => {
    const [method, path, body] = requestOf(route, ids);
    const headers: Record<string, string> = key === undefined ? {} : { "x-api-key": key };
    return server.request(method, path, { headers, ...(body ? { body } : {}) });
  };
  /** Returns an answer without the fields that always differ and without the ids of the request. */
  const normalized = (answer: Answer, ids: Ids): unknown => {
    let text = JSON.stringify(comparable(answer));
    for (const [name, id] of Object.entries(ids)) text = text.replaceAll(id, `<${name}>`);
    return JSON.parse(text);
  };

  for (const route of keyed) {
    const { method, path } = route;
    const isValidate = path.endsWith("/health/validate");
    await t.test(`${method} ${path}`, async () => {
      const anonymous = await call(route, victimIds, undefined);
      assert.equal(anonymous.status, 401);
      assert.deepEqual(
        normalized(await call(route, NOWHERE, undefined), NOWHERE),
        normalized(anonymous, victimIds),
      );

      for (const [role, key] of Object.entries(keys)) {
        // Foreign ids, unknown ids and mixtures all get the same answer.
        const foreign = [
          victimIds,
          NOWHERE,
          { ...victimIds, vector_store_id: "vs_nowhere", connector_id: "conn_nowhere" },
          { ...victimIds, vector_store_id: ownIds.vector_store_id, connector_id: ownIds.connector_id },
          { ...ownIds, organization_id: victimIds.organization_id },
          { ...ownIds, organization_id: "org_nowhere" },
        ];
        const answers = [];
        for (const ids of foreign) answers.push(normalized(await call(route, ids, key), ids));
        const [first] = answers as { status: number }[];
        assert.equal(first!.status, isValidate ? 400 : 403, `${role}: ${JSON.stringify(first)}`);
        for (const answer of answers) assert.deepEqual(answer, first, role);

        // Foreign ids under the key's organization get the same answer as unknown ids.
        for (const name of ["vector_store_id", "connector_id", "key_id", "run_id", "sync_id"] as const) {
          const inside = { ...ownIds, [name]: victimIds[name] };
          const nothing = { ...ownIds, [name]: NOWHERE[name] };
          if (JSON.stringify(requestOf(route, inside)) === JSON.stringify(requestOf(route, ownIds))) continue;
          const answer = normalized(await call(route, inside, key), inside) as { status: number };
          assert.ok([400, 403, 404].includes(answer.status), `${role}: ${JSON.stringify(answer)}`);
          assert.deepEqual(answer, normalized(await call(route, nothing, key), nothing), role);
        }
      }
    });
  }
  assert.deepEqual(await everythingOf(server, admin, victim), before);
});

test("every route is in the document or known to be public", async (t) => {
  const server = await startTestServer(t);
  const routes = await documentedRoutes(server);
  const documented = new Set(routes.map(({ path }) => path));
  const paths = pathsOf(server.app.server.printRoutes({ commonPrefix: false }));
  assert.ok(paths.length > documented.size);
  for (const path of paths) {
    if (PUBLIC_HIDDEN.has(path)) continue;
    assert.ok(documented.has(path.replace(/:(\w+)/g, "{$1}")), `${path} is neither documented nor public`);
  }
  for (const path of documented) {
    // The document must have exactly the methods in the Allow header of the 405.
    const answer = await server.request("OPTIONS", path.replace(/\{\w+\}/g, "x"));
    assert.equal(answer.status, 405);
    const methods = answer.headers
      .get("allow")!
      .split(", ")
      .filter((method) => method !== "HEAD");
    const known = routes.filter((route) => route.path === path);
    assert.deepEqual(methods, known.map(({ method }) => method).sort(), path);
  }
});

test("public routes reveal nothing about tenants", async (t) => {
  const server = await startTestServer(t);
  const tenant = await createTenant(server.commands);
  await server.post(SYNC, syncBody(tenant, { operations: [upsert("a")] }), { "x-api-key": tenant.key });
  const paths = [...PUBLIC].map((route) => route.split(" ")[1]!);
  for (const path of [...paths, "/metrics", "/docs/json", "/docs/yaml", "/docs/"]) {
    const text = await (await fetch(server.url + path)).text();
    const secrets = [
      tenant.organizationId,
      tenant.storeId,
      tenant.connectorId,
      tenant.key.slice(6),
      "Test store",
    ];
    for (const secret of secrets) assert.ok(!text.includes(secret), `${path} reveals ${secret}`);
  }
});

/** Returns the paths in Fastify's printed tree of routes. */
function pathsOf(tree: string): string[] {
  const paths: string[] = [];
  const parents: string[] = [];
  for (const line of tree.split("\n")) {
    const [, indent, part, methods] = /^([│ ]*)[├└]── (\S+)(?: \((.*)\))?$/.exec(line) ?? [];
    if (part === undefined) continue;
    const depth = indent!.length / 4;
    parents.length = depth;
    parents.push(part);
    if (methods) paths.push(parents.join(""));
  }
  return paths;
}
