import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { createRoleKey } from "../test-server.ts";
import { assertError, assertFieldError } from "./error-answer.ts";
import { SYNC, startPipeline, upsert } from "./pipeline.ts";
import { chunked, head, sendRaw } from "./raw-request.ts";

const LIMIT = 64 * 1024;

test("unknown paths and methods get an error body of the contract", async (t) => {
  const { server, headers } = await startPipeline(t);
  for (const path of [
    "/",
    "/v1",
    "/v2/pipeline/sync",
    "/v1/pipeline/sync/",
    "/v1/pipeline/Sync",
    "/v1/pipeline/sync%2f",
    "/docs/nothing",
    "/docs/static/nothing.js",
    "/docs/static/..%2f..%2fpackage.json",
    "/docs/static/%00",
  ]) {
    for (const method of ["GET", "POST"]) {
      await t.test(`404 for ${method} ${path}`, async () => {
        assertError(await server.request(method, path, { headers }), "RESOURCE_NOT_FOUND");
      });
    }
  }

  const stores = "/v1/organizations/org_x/vector-stores";
  const methods: Record<string, string[]> = {
    [SYNC]: ["POST"],
    "/v1/connectors/pipeline/sync": ["POST"],
    "/v1/pipeline/check-exists": ["POST"],
    "/v1/pipeline/health": ["GET", "HEAD"],
    "/v1/pipeline/health/validate": ["GET", "HEAD", "POST"],
    "/livez": ["GET", "HEAD"],
    "/metrics": ["GET", "HEAD"],
    [stores]: ["GET", "HEAD", "POST"],
    [`${stores}/vs_x`]: ["DELETE", "GET", "HEAD", "PATCH"],
    "/v1/organizations/org_x/connectors/conn_x/keys/key_x": ["DELETE"],
  };
  for (const [path, allowed] of Object.entries(methods)) {
    await t.test(`405 with Allow and without a key for other methods of ${path}`, async () => {
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
        if (allowed.includes(method)) continue;
        const answer = await server.request(method, path);
        assertError(answer, "METHOD_NOT_ALLOWED");
        assert.deepEqual(answer.headers.get("allow")!.split(", ").sort(), allowed);
      }
    });
  }
});

test("unsupported Accept headers get a 406, unsupported content types and encodings a 415", async (t) => {
  const { server, headers, state, sync } = await startPipeline(t);
  const before = await state();
  for (const accept of ["text/html", "application/json;q=0", "application/xml, text/*;q=0.5"]) {
    await t.test(`406 for Accept: ${accept}`, async () => {
      assertError(await sync({}, { accept }), "NOT_ACCEPTABLE");
    });
  }
  for (const type of [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonlines",
    "application/vnd.api+json",
    "json",
    ";;;",
  ]) {
    await t.test(`415 for Content-Type: ${type}`, async () => {
      assertError(await sync({}, { "content-type": type }), "UNSUPPORTED_MEDIA_TYPE");
    });
  }
  await t.test("415 without a Content-Type, with or without a body", async () => {
    const key = { "X-API-Key": headers["x-api-key"]! };
    for (const request of [
      `${head("POST", SYNC, { ...key, "Content-Length": 2 })}{}`,
      head("POST", SYNC, { ...key, "Content-Length": 0 }),
      head("POST", SYNC, key),
    ]) {
      assertError(await sendRaw(server.url, request), "UNSUPPORTED_MEDIA_TYPE");
    }
  });
  for (const encoding of ["br", "deflate", "gzip, gzip", "zstd", "x"]) {
    await t.test(`415 for Content-Encoding: ${encoding}`, async () => {
      const answer = await sync({}, { "content-encoding": encoding });
      assert.deepEqual(assertError(answer, "UNSUPPORTED_MEDIA_TYPE"), { encoding });
    });
  }
  assert.deepEqual(await state(), before);

  for (const accept of ["*/*", "application/*;q=0.1", "text/html, application/json", "Application/JSON"]) {
    await t.test(`Accept: ${accept} gets JSON`, async () => {
      assert.equal((await sync({}, { accept })).status, 200);
    });
  }
  for (const type of ["application/json; charset=utf-8", "APPLICATION/JSON"]) {
    await t.test(`Content-Type: ${type} is accepted`, async () => {
      assert.equal((await sync({}, { "content-type": type })).status, 200);
    });
  }
});

test("a body over the limit gets a 413, however it is sent", async (t) => {
  const { server, tenant, headers, send, state } = await startPipeline(t, { bodyLimitBytes: LIMIT });
  const before = await state();
  const bodyOf = (bytes: number) => `{"organization_id":"${"x".repeat(bytes - 22)}"}`;
  const raw = { "X-API-Key": headers["x-api-key"]!, "Content-Type": "application/json" };

  await t.test("because of its Content-Length, before the body is sent", async () => {
    const answer = await sendRaw(server.url, head("POST", SYNC, { ...raw, "Content-Length": LIMIT + 1 }));
    assert.deepEqual(assertError(answer, "PAYLOAD_TOO_LARGE"), { limit_bytes: LIMIT });
  });
  await t.test("after the whole body is sent", async () => {
    assertError(await send(bodyOf(10 * LIMIT)), "PAYLOAD_TOO_LARGE");
  });
  await t.test("in chunks of unknown total length", async () => {
    const request =
      head("POST", SYNC, { ...raw, "Transfer-Encoding": "chunked" }) + chunked(bodyOf(2 * LIMIT));
    const answer = await sendRaw(server.url, request);
    assert.deepEqual(assertError(answer, "PAYLOAD_TOO_LARGE"), { limit_bytes: LIMIT });
  });
  await t.test("after decompression: a gzip bomb", async () => {
    const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024, "0"));
    assert.ok(bomb.length < LIMIT);
    const answer = await send(bomb, { "content-encoding": "gzip" });
    assert.deepEqual(assertError(answer, "PAYLOAD_TOO_LARGE"), { limit_bytes: LIMIT });
  });
  await t.test("a body of exactly the limit is accepted", async () => {
    assert.equal(Buffer.byteLength(bodyOf(LIMIT)), LIMIT);
    assertFieldError(await send(bodyOf(LIMIT)), "organization_id", "TOO_LONG");
    assertFieldError(
      await send(gzipSync(bodyOf(LIMIT)), { "content-encoding": "gzip" }),
      "organization_id",
      "TOO_LONG",
    );
    const inChunks =
      head("POST", SYNC, { ...raw, "Transfer-Encoding": "chunked" }) + chunked(bodyOf(LIMIT), 999);
    assertFieldError(await sendRaw(server.url, inChunks), "organization_id", "TOO_LONG");
    assertError(await send(bodyOf(LIMIT + 1)), "PAYLOAD_TOO_LARGE");
    assertError(await send(gzipSync(bodyOf(LIMIT + 1)), { "content-encoding": "gzip" }), "PAYLOAD_TOO_LARGE");
  });
  await t.test("management requests have their own limit", async () => {
    const admin = await createRoleKey(server.commands, "admin", tenant.organizationId);
    const answer = await server.post(
      `/v1/organizations/${tenant.organizationId}/vector-stores`,
      { name: "x".repeat(256 * 1024) },
      { "x-api-key": admin },
    );
    assert.deepEqual(assertError(answer, "PAYLOAD_TOO_LARGE"), { limit_bytes: 256 * 1024 });
  });
  assert.deepEqual(await state(), before);
});

test("a body that is not JSON gets a 400 whose reason does not quote the body", async (t) => {
  const { server, tenant, headers, send, state } = await startPipeline(t);
  const before = await state();
  const nested = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
  const bad: Record<string, string | Uint8Array> = {
    "an empty body": new Uint8Array(),
    "white space": " \n",
    "an open brace": "{",
    "a trailing comma": '{"organization_id":"secret",}',
    "single quotes": "{'organization_id':'secret'}",
    "a missing quote": '{"organization_id":"secret}',
    "a comment": "{} // secret",
    "two values": "{}{}",
    "a leading zero": '{"a":01}',
    "a plus sign": '{"a":+1}',
    "a point without digits": '{"a":1.}',
    NaN: '{"a":NaN}',
    "a raw control character": '{"a":"x\u0001"}',
    "a raw NUL": '{"a":"\0"}',
    "an invalid escape": String.raw`{"a":"\x41"}`,
    "a byte order mark": "\ufeff{}",
    "UTF-16": Buffer.from("{}", "utf16le"),
    "a byte that is invalid in UTF-8": Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    "an overlong encoding": Buffer.from([0x22, 0xc0, 0x80, 0x22]),
    "a surrogate in UTF-8": Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]),
    "a truncated UTF-8 sequence": Buffer.concat([
      Buffer.from('"'),
      Buffer.from("é").subarray(0, 1),
      Buffer.from('"'),
    ]),
    "65 levels": nested(65),
    "100,000 levels": nested(100_000),
    "100,000 open brackets": "[".repeat(100_000),
    "65 levels within data": `{"operations":[{"data":${nested(62)}}]}`,
  };
  for (const [name, body] of Object.entries(bad)) {
    await t.test(name, async () => {
      const answer = await send(body);
      const { reason } = assertError(answer, "INVALID_JSON");
      assert.match(reason, /\.$/);
      assert.doesNotMatch(JSON.stringify(answer.body), /secret/);
    });
  }
  const gzip = { "content-encoding": "gzip" };
  const valid = gzipSync("{}");
  for (const [name, body] of Object.entries({
    "a plain body declared as gzip": Buffer.from("{}"),
    "empty gzip": Buffer.alloc(0),
    "truncated gzip": valid.subarray(0, -9),
    "gzip with a wrong checksum": Buffer.concat([valid.subarray(0, -8), Buffer.alloc(8, 1)]),
    "gzip of invalid JSON": gzipSync("{"),
    "gzip in gzip": gzipSync(gzipSync("{}")),
  })) {
    await t.test(name, async () => assertError(await send(body, gzip), "INVALID_JSON"));
  }
  await t.test("64 levels are accepted", async () => {
    assertFieldError(await send(nested(64)), "body", "INVALID_TYPE");
  });
  await t.test("management requests get the same 400", async () => {
    const admin = await createRoleKey(server.commands, "admin", tenant.organizationId);
    const path = `/v1/organizations/${tenant.organizationId}/vector-stores`;
    for (const body of ["{", "", "\ufeff{}", nested(65), Buffer.from([0xff])]) {
      assertError(await server.post(path, body, { ...headers, "x-api-key": admin }), "INVALID_JSON");
    }
  });
  assert.deepEqual(await state(), before);
});

test("a full refresh older than the last one gets a 409 with both times", async (t) => {
  const { sync, existing } = await startPipeline(t);
  const refresh = (sync_timestamp: string, id: string) =>
    sync({ sync_mode: "full_refresh", sync_timestamp, operations: [upsert(id)] });
  await refresh("2025-11-11T10:30:00.5Z", "a");
  const details = assertError(await refresh("2025-11-11T11:29:59+01:00", "b"), "STALE_SYNC");
  assert.deepEqual(details, {
    sync_timestamp: "2025-11-11T10:29:59Z",
    namespaces: [{ namespace: "tasks", last_refresh_at: "2025-11-11T10:30:00.5Z" }],
  });
  assert.deepEqual(await existing("tasks", ["a", "b"]), ["a"]);
});
