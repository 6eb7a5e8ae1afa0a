import assert from "node:assert/strict";
import { test } from "node:test";
import { ERRORS } from "@tidemark/protocol/errors";
import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { type Answer, createRoleKey, syncBody } from "../test-server.ts";
import { CHECK_EXISTS, SYNC, startPipeline, upsert } from "./pipeline.ts";

// biome-ignore lint/suspicious/noExplicitAny: a document of many shapes
type Json = any;

/** Compiles a schema of the document into a check of values. */
function checkOf(document: Json, schema: object) {
  return Compile({ ...schema, components: document.components } as TSchema);
}

test("the served document describes the parameters and answers of every operation", async (t) => {
  const { server } = await startPipeline(t);
  const answer = await server.request("GET", "/docs/json");
  const document: Json = answer.body;
  assert.match(answer.headers.get("content-type")!, /^application\/json/);
  assert.match(document.openapi, /^3\.1\.\d$/);
  assert.match(document.info.version, /^\d+\.\d+\.\d+/);
  assert.ok(document.info.title && document.info.description);

  await t.test("every operation is complete", () => {
    const tags = document.tags.map(({ name }: { name: string }) => name);
    for (const [path, operations] of Object.entries<Json>(document.paths)) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
      for (const [method, operation] of Object.entries<Json>(operations)) {
        const where = `${method} ${path}`;
        assert.match(method, /^(get|post|patch|delete)$/);
        assert.match(operation.summary, /\S/, where);
        for (const tag of operation.tags) assert.ok(tags.includes(tag), where);
        const parameters: Json[] = operation.parameters ?? [];
        const declared = parameters.filter((parameter) => parameter.in === "path");
        assert.deepEqual(declared.map(({ name }) => name).sort(), inPath, where);
        for (const parameter of declared) assert.equal(parameter.required, true, where);
        const statuses = Object.keys(operation.responses);
        assert.equal(statuses.filter((status) => status.startsWith("2")).length, 1, where);
        const keyed = operation.security === undefined;
        assert.equal(keyed, statuses.includes("401"), where);
        for (const [status, response] of Object.entries<Json>(operation.responses)) {
          assert.match(status, /^[245]\d\d$/, where);
          assert.match(response.description, /\S/, where);
          assert.ok(response.content["application/json"].schema, where);
        }
      }
    }
    assert.deepEqual(document.security, [{ apiKey: [] }]);
    assert.deepEqual(document.components.securitySchemes.apiKey, {
      type: "apiKey",
      in: "header",
      name: "X-API-Key",
    });
  });

  await t.test("the document has the contract's examples and every error code", () => {
    const { SyncResponse, ErrorResponse } = document.components.schemas;
    assert.deepEqual(SyncResponse.examples[0].results, { upserted: 145, deleted: 5, failed: 0 });
    assert.equal(ErrorResponse.examples[0].error.system_message, "Missing or invalid authorization header");
    const codes = ErrorResponse.properties.error.properties.code.enum;
    assert.deepEqual(codes.toSorted(), Object.keys(ERRORS).sort());
  });
});

test("the example requests of the document succeed", async (t) => {
  const { server } = await startPipeline(t);
  const { body: document } = await server.request("GET", "/docs/json");
  const { SyncRequest, CheckExistsRequest } = document.components.schemas;
  const [sync] = SyncRequest.examples;
  const { commands } = server;
  const { organization_id: id, vector_store_id: storeId } = sync;
  await commands.createOrganization({ name: "Example", id }, Date.now());
  await commands.createVectorStore(id, { name: "Example", id: storeId }, Date.now());
  const connector = await commands.createConnector(id, { name: "Example", storeId }, Date.now());
  const headers = { "x-api-key": connector.api_key };
  const synced = await server.post(SYNC, sync, headers);
  assert.equal(synced.status, 200, JSON.stringify(synced.body));
  const checked = await server.post(CHECK_EXISTS, CheckExistsRequest.examples[0], headers);
  assert.deepEqual(checked.body.existing_ids, ["task_1"]);
});

test("answers of the server match the document", async (t) => {
  const { server, tenant, sync, checkExists, headers } = await startPipeline(t);
  const { body: document } = await server.request("GET", "/docs/json");
  const admin = { "x-api-key": await createRoleKey(server.commands, "admin", tenant.organizationId) };
  const expectDocumented = (method: string, path: string, answer: Answer) => {
    const response = document.paths[path][method].responses[answer.status];
    assert.ok(response, `${method} ${path} documents ${answer.status}`);
    const check = checkOf(document, response.content["application/json"].schema);
    assert.ok(check.Check(answer.body), `${method} ${path}: ${JSON.stringify(check.Errors(answer.body))}`);
  };
  expectDocumented("post", SYNC, await sync({ operations: [upsert("a")] }));
  expectDocumented("post", SYNC, await sync({ sync_mode: "full_refresh" }));
  expectDocumented("post", SYNC, await sync({ x: 1 }));
  expectDocumented("post", SYNC, await server.post(SYNC, syncBody(tenant), {}));
  expectDocumented("post", SYNC, await sync({ organization_id: "org_x" }));
  expectDocumented("post", SYNC, await server.post(SYNC, "{", headers));
  expectDocumented("post", CHECK_EXISTS, await checkExists({ ids: ["a"] }));
  const health = "/v1/pipeline/health";
  expectDocumented("get", health, await server.request("GET", health));
  const validate = (query: string) =>
    server.request("GET", `${health}/validate?${query}`, { headers: { "x-api-key": tenant.key } });
  const query = `organization_id=${tenant.organizationId}&vector_store_id=${tenant.storeId}`;
  for (const answer of [await validate(query), await validate(`${query}x`), await validate("")]) {
    expectDocumented("get", `${health}/validate`, answer);
  }
  const base = "/v1/organizations/{organization_id}";
  const call = async (method: string, template: string, path: string, body?: object) => {
    const url = `/v1/organizations/${tenant.organizationId}${path}`;
    const answer = await server.request(method, url, { headers: admin, ...(body ? { body } : {}) });
    expectDocumented(method.toLowerCase(), base + template, answer);
    return answer.body;
  };
  const store = await call("POST", "/vector-stores", "/vector-stores", { name: "x", description: null });
  await call("GET", "/vector-stores", "/vector-stores");
  await call("PATCH", "/vector-stores/{vector_store_id}", `/vector-stores/${store.id}`, { name: "y" });
  await call("GET", "/vector-stores/{vector_store_id}", `/vector-stores/${store.id}`);
  await call("GET", "/vector-stores/{vector_store_id}", "/vector-stores/vs_none");
  const body = { name: "x", vector_store_id: store.id };
  const { id } = await call("POST", "/connectors", "/connectors", body);
  await call("GET", "/connectors", "/connectors");
  await call("GET", "/connectors/{connector_id}", `/connectors/${id}`);
  await call("PATCH", "/connectors/{connector_id}", `/connectors/${id}`, { name: "y" });
  const key = await call("POST", "/connectors/{connector_id}/keys", `/connectors/${id}/keys`, {});
  const keyPath = "/connectors/{connector_id}/keys/{key_id}";
  await call("DELETE", keyPath, `/connectors/${id}/keys/${key.id}`);
  await call("DELETE", "/connectors/{connector_id}", `/connectors/${id}`);
  await call("DELETE", "/vector-stores/{vector_store_id}", `/vector-stores/${store.id}`);
});

test("the docs page loads completely and sends no request to another host", async (t) => {
  const { server } = await startPipeline(t);
  const get = async (path: string) => {
    const response = await fetch(new URL(path, server.url));
    assert.equal(response.status, 200, path);
    return { text: await response.text(), type: response.headers.get("content-type")!, url: response.url };
  };
  for (const entry of ["/docs", "/docs/"]) {
    const page = await get(entry);
    assert.match(page.type, /^text\/html/);
    const links = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link!);
    assert.ok(links.length >= 4);
    for (const link of links) {
      const url = new URL(link, page.url);
      assert.equal(url.origin, server.url, `${entry} loads ${link}`);
      const { type, text } = await get(url.pathname);
      if (type.startsWith("text/css")) {
        for (const [, target] of text.matchAll(/url\(\s*["']?([^"')]+)/g))
          assert.match(target!, /^(data:|#|\.)/);
        assert.doesNotMatch(text, /@import/);
      }
      if (link.endsWith("swagger-initializer.js")) {
        // By default, Swagger UI shows a badge that sends the document's address to another host.
        assert.match(text, /validatorUrl: null/);
        assert.match(text, /resolveUrl\('\.\/json'\)/);
        const sources = [...text.matchAll(/(?:url|src|href)\s*[:=]\s*['"]https?:/g)];
        assert.deepEqual(sources, []);
      }
    }
  }
});
