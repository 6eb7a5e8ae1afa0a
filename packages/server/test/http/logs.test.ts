import assert from "node:assert/strict";
import { test } from "node:test";
import { type Logger, pino } from "pino";
import { createRoleKey, createTenant } from "../test-server.ts";
import { SYNC, startPipeline, upsert } from "./pipeline.ts";

type Line = Record<string, unknown>;

/** Returns a logger at the most verbose level, and functions that return its lines. */
function recordingLog(): { log: Logger; lines: () => Line[]; text: () => string } {
  const written: string[] = [];
  return {
    log: pino({ level: "trace" }, { write: (line: string) => written.push(line) }),
    lines: () => written.map((line) => JSON.parse(line)),
    text: () => written.join(""),
  };
}

test("the log contains no keys and nothing from records", async (t) => {
  const { log, text, lines } = recordingLog();
  let fail = false;
  const { server, tenant, headers, sync, send, checkExists } = await startPipeline(
    t,
    {},
    {
      log,
      wrap: (commands) => ({
        ...commands,
        sync: (...args) =>
          fail ? Promise.reject(new Error("The disk is on fire.")) : commands.sync(...args),
      }),
    },
  );
  const { organizationId, storeId, connectorId } = tenant;
  const admin = await createRoleKey(server.commands, "admin", organizationId);
  const other = await createTenant(server.commands);
  const secret = "THE-RECORD";
  const operations = [
    upsert(`${secret}-id`, { namespace: `${secret}-ns`, data: { [`${secret}-key`]: `${secret}-value` } }),
  ];
  await sync({ operations });
  await sync({ operations: [{ ...operations[0], action: secret, [secret]: secret, id: 5 }] });
  await sync({ operations, organization_id: other.organizationId });
  await sync({ operations, sync_mode: "full_refresh" });
  await sync({ operations, sync_mode: "full_refresh", sync_timestamp: "2024-01-01T00:00:00Z" });
  await send(`{"${secret}":"${secret}`);
  await send(`{"${secret}":9007199254740993,"${secret}-text":"\\ud800"}`);
  await send(`${secret}`, { "content-type": "text/plain" });
  await checkExists({ ids: [`${secret}-id`], namespace: `${secret}-ns` });
  await server.request("GET", `/v1/${secret}?api_key=${tenant.key}`, { headers });
  await server.request("GET", `/%zz${secret}?api_key=${tenant.key}`);
  await server.post(SYNC, {}, { "x-api-key": `${tenant.key}0`, authorization: `Bearer ${tenant.key}` });
  await server.request("GET", `/v1/organizations/${tenant.key}/vector-stores`, { headers });
  const keys = `/v1/organizations/${organizationId}/connectors/${connectorId}/keys`;
  const made = await server.post(keys, {}, { "x-api-key": admin });
  assert.match(made.body.api_key, /^tdm_c_/);
  await server.post(
    `/v1/organizations/${organizationId}/connectors`,
    { name: "x", vector_store_id: storeId },
    { "x-api-key": admin },
  );
  fail = true;
  assert.equal((await sync({ operations })).status, 500);
  await server.app.close();

  assert.ok(lines().length > 15, "the requests are logged");
  assert.match(text(), /The disk is on fire/);
  assert.ok(
    !text().includes(secret),
    text().slice(text().indexOf(secret) - 300, text().indexOf(secret) + 50),
  );
  for (const key of [tenant.key, admin, made.body.api_key]) {
    const [, , , random] = key.split("_");
    assert.ok(!text().includes(random));
  }
  assert.doesNotMatch(text(), /tdm_[a-z]_\w+_\w/);
});

test("every log line of a request has its trace id, and one line summarizes the request", async (t) => {
  const { log, lines } = recordingLog();
  const { server, tenant, sync } = await startPipeline(
    t,
    {},
    {
      log,
      wrap: (commands) => ({
        ...commands,
        checkExists: () => Promise.reject(new Error("broken")),
      }),
    },
  );
  const answers = [
    await sync({ operations: [upsert("a")] }),
    await server.request("GET", "/nowhere"),
    await server.post("/v1/pipeline/check-exists", {}, { "x-api-key": tenant.key }),
    await server.post(SYNC, {}),
  ];
  await server.app.close();
  for (const { headers, status, body } of answers) {
    const trace = headers.get("x-request-id");
    if (body.error) assert.equal(body.error.trace_id, trace);
    const requestLines = lines().filter(({ trace_id }) => trace_id === trace);
    const summaries = requestLines.filter(({ msg }) => msg === "request");
    assert.deepEqual(
      summaries.map((line) => line.status),
      [status],
    );
    assert.equal(
      requestLines.some(({ level }) => level === 50),
      status === 500,
    );
  }
  const [first, , , stranger] = answers.map(({ headers }) =>
    lines().find(({ trace_id, msg }) => trace_id === headers.get("x-request-id") && msg === "request"),
  );
  const { method, route, address, organization_id, key_id } = first!;
  assert.deepEqual(
    [method, route, address, organization_id],
    ["POST", SYNC, "127.0.0.1", tenant.organizationId],
  );
  assert.equal(key_id, `key_${tenant.key.split("_")[2]}`);
  assert.equal(typeof first!.duration_ms, "number");
  assert.equal(stranger!.key_id, undefined);
  const withoutTrace = lines().filter(({ trace_id }) => trace_id === undefined);
  for (const { msg } of withoutTrace) assert.match(String(msg), /listening|closed/i);
});

test("every admin action logs an audit line with the key, the action and the target", async (t) => {
  const { log, lines } = recordingLog();
  const { server, tenant } = await startPipeline(t, {}, { log });
  const admin = await createRoleKey(server.commands, "admin", tenant.organizationId);
  const base = `/v1/organizations/${tenant.organizationId}`;
  const expected: [action: string, target: string, traceId: string][] = [];
  const act = async (action: string, method: string, path: string, body?: object, target?: string) => {
    const answer = await server.request(method, base + path, {
      headers: { "x-api-key": admin },
      ...(body ? { body } : {}),
    });
    assert.ok(answer.status < 300, JSON.stringify(answer.body));
    expected.push([action, target ?? answer.body.id, answer.headers.get("x-request-id")!]);
    return answer.body;
  };
  const store = await act("vector_store.create", "POST", "/vector-stores", { name: "s" });
  await act("vector_store.update", "PATCH", `/vector-stores/${store.id}`, { name: "t" });
  const body = { name: "c", vector_store_id: store.id };
  const connector = await act("connector.create", "POST", "/connectors", body);
  await act("connector.update", "PATCH", `/connectors/${connector.id}`, { name: "d" });
  const key = await act("key.create", "POST", `/connectors/${connector.id}/keys`, {});
  await act("key.revoke", "DELETE", `/connectors/${connector.id}/keys/${key.id}`);
  await act("connector.delete", "DELETE", `/connectors/${connector.id}`);
  await act("vector_store.delete", "DELETE", `/vector-stores/${store.id}`);

  // Rejected and read-only requests have no audit line.
  for (const [method, path] of [
    ["GET", "/vector-stores"],
    ["GET", "/connectors"],
    ["DELETE", `/vector-stores/${store.id}`],
    ["DELETE", "/connectors/conn_none"],
  ] as const) {
    await server.request(method, base + path, { headers: { "x-api-key": admin } });
  }
  await server.post(`${base}/vector-stores`, { name: 5 }, { "x-api-key": admin });
  await server.post(`${base}/vector-stores`, { name: "x" }, { "x-api-key": tenant.key });

  const audits = lines().filter(({ audit }) => audit !== undefined);
  assert.deepEqual(
    audits.map(({ audit, target, trace_id }) => [audit, target, trace_id]),
    expected,
  );
  for (const { key_id, organization_id } of audits) {
    assert.deepEqual([key_id, organization_id], [`key_${admin.split("_")[2]}`, tenant.organizationId]);
  }
});
