import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { pino } from "pino";
import { whenDone } from "../when-done.ts";
import { assertError } from "./error-answer.ts";
import { SYNC, startPipeline } from "./pipeline.ts";
import { head, sendRaw } from "./raw-request.ts";

test("malformed HTTP gets an error body of the contract", async (t) => {
  const { server } = await startPipeline(t);
  const broken: Record<string, string> = {
    "no request line": "nonsense\r\n\r\n",
    "an unknown method": "FETCH /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown version": "GET /livez HTTP/9.9\r\nHost: x\r\n\r\n",
    "a header without a colon": "GET /livez HTTP/1.1\r\nHost: x\r\nbroken\r\n\r\n",
    "a control character in a header": "GET /livez HTTP/1.1\r\nHost: x\r\nX-A: a\u0001b\r\n\r\n",
    "a content length that is not a number": head("POST", SYNC, { "Content-Length": "ten" }),
    "a negative content length": head("POST", SYNC, { "Content-Length": "-1" }),
    "a content length and chunked encoding together": head("POST", SYNC, {
      "Content-Length": 2,
      "Transfer-Encoding": "chunked",
    }),
    "no Host header": "GET /livez HTTP/1.1\r\n\r\n",
  };
  for (const [name, request] of Object.entries(broken)) {
    await t.test(name, async () => assertError(await sendRaw(server.url, request), "BAD_REQUEST"));
  }
  for (const path of ["/%", "/v1/%zz", "/v1/%E0%A4%A", "/v1/organizations/%C0%80/vector-stores"]) {
    await t.test(`an invalid percent-encoding: ${path}`, async () => {
      assertError(await sendRaw(server.url, head("GET", path)), "BAD_REQUEST");
    });
  }
  await t.test("headers that are too large", async () => {
    const request = head("GET", "/livez", { "X-A": "a".repeat(17 * 1024) });
    assertError(await sendRaw(server.url, request), "HEADERS_TOO_LARGE");
    const url = head("GET", `/${"a".repeat(17 * 1024)}`);
    assertError(await sendRaw(server.url, url), "HEADERS_TOO_LARGE");
  });
  await t.test("a request that takes too long", async () => {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    const [serverSide] = (await once(server.app.server.server, "connection")) as [Socket];
    // Node's own timer emits this event when a request times out.
    const timeout = Object.assign(new Error("Request timeout"), { code: "ERR_HTTP_REQUEST_TIMEOUT" });
    server.app.server.server.emit("clientError", timeout, serverSide);
    let text = "";
    for await (const chunk of socket) text += chunk;
    assert.match(text, /^HTTP\/1\.1 408 Request Timeout\r\n/);
    const [, traceId] = /x-request-id: (\S+)/i.exec(text)!;
    const { error } = JSON.parse(text.slice(text.indexOf("\r\n\r\n")));
    assert.deepEqual([error.code, error.status, error.trace_id], ["REQUEST_TIMEOUT", 408, traceId]);
  });
  await t.test("methods of other protocols on existing paths", async () => {
    for (const method of ["TRACE", "PROPFIND", "QUERY", "SEARCH"]) {
      const { status, body } = await sendRaw(server.url, head(method, SYNC));
      assert.ok(status >= 400 && status < 500 && body.error.status === status, `${method}: ${status}`);
    }
  });
  await t.test("an unknown expectation or upgrade is ignored", async () => {
    for (const headers of [{ Expect: "the-unexpected" }, { Connection: "upgrade", Upgrade: "websocket" }]) {
      const { status, body } = await sendRaw(server.url, head("GET", "/livez", headers as never));
      assert.deepEqual([status, body], [200, { status: "ok" }]);
    }
  });
  await t.test("the server still serves", async () => {
    assert.equal((await server.request("GET", "/livez")).status, 200);
  });
});

test("a path parameter that is too long gets a 422, but only with a valid key", async (t) => {
  const { server, headers } = await startPipeline(t);
  const path = `/v1/organizations/org_${"x".repeat(5000)}/vector-stores`;
  assertError(await server.request("GET", path), "AUTHENTICATION_REQUIRED");
  const { errors } = assertError(await server.request("GET", path, { headers }), "VALIDATION_ERROR");
  assert.deepEqual([errors[0].field, errors[0].code], ["organization_id", "TOO_LONG"]);
});

test("a body that ends early changes nothing, holds no memory and logs no error", async (t) => {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: "debug" }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const { server, headers, state } = await startPipeline(t, {}, { log });
  const before = await state();
  const announce = head("POST", SYNC, {
    "X-API-Key": headers["x-api-key"]!,
    "Content-Type": "application/json",
    "Content-Length": 5000,
  });
  const inChunks = announce.replace("Content-Length: 5000", "Transfer-Encoding: chunked");

  await t.test("the caller ends its side of the connection", async () => {
    assertError(await sendRaw(server.url, `${announce}{"a":`, { halfClose: true }), "BAD_REQUEST");
    assertError(await sendRaw(server.url, `${inChunks}5\r\n{"a":\r\n`, { halfClose: true }), "BAD_REQUEST");
  });
  await t.test("the caller closes the connection", async () => {
    for (const request of [`${announce}{"a":`, `${inChunks}5\r\n{"a":\r\n`]) {
      const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
      const [serverSide] = (await once(server.app.server.server, "connection")) as [Socket];
      const closed = once(serverSide, "close");
      socket.write(request);
      await once(server.app.server.server, "request");
      socket.destroy();
      await closed;
    }
  });
  assert.deepEqual(await state(), before);
  assert.equal(await bytesInFlight(server.url), 0);
  const loggedErrors = lines.filter(({ level }) => Number(level) >= 50);
  assert.deepEqual(loggedErrors, []);
});

test("a caller that disconnects during authentication leaves no bytes in flight", async (t) => {
  const asked = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  whenDone(t, () => left.resolve());
  const { server, headers } = await startPipeline(
    t,
    {},
    {
      wrap: (commands) => ({
        ...commands,
        countRequest: async (...args) => {
          asked.resolve();
          await left.promise;
          return commands.countRequest(...args);
        },
      }),
    },
  );
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  const [serverSide] = (await once(server.app.server.server, "connection")) as [Socket];
  const closed = once(serverSide, "close");
  socket.write(
    head("POST", SYNC, {
      "X-API-Key": headers["x-api-key"]!,
      "Content-Type": "application/json",
      "Content-Length": 5000,
    }),
  );
  await asked.promise;
  socket.destroy();
  await closed;
  left.resolve();
  // The server finishes its work on the first request before it answers this one.
  await server.post(SYNC, {}, { "x-api-key": headers["x-api-key"]! });
  assert.equal(await bytesInFlight(server.url), 0);
});

async function bytesInFlight(url: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  return Number(/^tidemark_bytes_in_flight (\d+)$/m.exec(metrics)![1]);
}
