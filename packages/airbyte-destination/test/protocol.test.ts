import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, test } from "node:test";
import { SPEC } from "../src/spec.ts";
import {
  complete,
  deduplicated,
  record,
  refreshed,
  runWrite,
  startDestination,
  startServer,
  stream,
  streamState,
} from "./destination.ts";

const { newStore, management, url } = await startServer();

const UNUSED = await unusedAddress();

/** An address without a server. */
async function unusedAddress(): Promise<string> {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  listener.close();
  await once(listener, "close");
  return `http://127.0.0.1:${port}`;
}

describe("spec", () => {
  test("lists the settings and marks the secret one", async (t) => {
    const { code, messages } = await (await startDestination(t, "spec")).end();
    assert.equal(code, 0);
    assert.deepEqual(messages, [{ type: "SPEC", spec: JSON.parse(JSON.stringify(SPEC)) }]);
    const { required, properties } = messages[0]!.spec.connectionSpecification;
    assert.deepEqual(required, ["url", "api_key", "organization_id", "vector_store_id"]);
    const secret = Object.keys(properties).filter((name) => properties[name].airbyte_secret);
    assert.deepEqual(secret, ["api_key"]);
    const modes = ["append", "append_dedup", "overwrite", "overwrite_dedup"];
    assert.deepEqual(messages[0]!.spec.supported_destination_sync_modes, modes);
  });
});

describe("check", () => {
  test("succeeds with a key of the organization and store", async (t) => {
    const { config } = await newStore();
    const { code, messages } = await (await startDestination(t, "check", { config })).end();
    assert.equal(code, 0);
    assert.deepEqual(messages, [{ type: "CONNECTION_STATUS", connectionStatus: { status: "SUCCEEDED" } }]);
  });

  const wrong: [what: string, change: Record<string, unknown>, message: RegExp][] = [
    ["an invalid key", { api_key: "nonsense" }, /rejects the API key/],
    ["no key", { api_key: undefined }, /API key \(api_key\) is missing/],
    ["another store", { vector_store_id: "vs_other" }, /not accessible with this API key/],
    ["an unreachable server", { url: UNUSED }, /cannot be reached.*ECONNREFUSED/],
    [
      "another address of the server",
      { url: `${url}/docs` },
      /resource does not exist|not one of Tidemark's/,
    ],
  ];
  for (const [what, change, message] of wrong) {
    test(`fails with ${what} and a message`, async (t) => {
      const { config } = await newStore();
      const { code, messages } = await (
        await startDestination(t, "check", { config: { ...config, ...change } })
      ).end();
      assert.equal(code, 0);
      const { type, connectionStatus } = messages.at(-1);
      assert.deepEqual([type, connectionStatus.status], ["CONNECTION_STATUS", "FAILED"]);
      assert.match(connectionStatus.message, message);
      assert.ok(!JSON.stringify(messages).includes(String(config.api_key)), "the key is not shown");
    });
  }

  test("fails with a revoked key", async (t) => {
    const { config } = await newStore();
    const store = String(config.vector_store_id);
    const connector = await management.createConnector({ name: "Revoked", vector_store_id: store });
    await management.deleteConnector(connector.id);
    const revoked = { ...config, api_key: connector.api_key };
    const { messages } = await (await startDestination(t, "check", { config: revoked })).end();
    assert.equal(messages[0].connectionStatus.status, "FAILED");
  });
});

describe("write", () => {
  const catalog = { streams: [deduplicated("users")] };
  const failures: [
    what: string,
    input: { config?: object; catalog?: unknown; messages?: (object | string)[] },
    type: string,
    message: RegExp,
  ][] = [
    ["an invalid key", { config: { api_key: "x" } }, "config_error", /rejects the API key/],
    ["a store of another key", { config: { vector_store_id: "vs_x" } }, "config_error", /not accessible/],
    ["a catalog that is not JSON", { catalog: "{" }, "config_error", /catalog file is not JSON/],
    ["a line that is not JSON", { messages: ['{"type": "REC'] }, "system_error", /Line 1 .* is not JSON/],
    [
      "a line that is not JSON, after blank ones",
      { messages: ["", "  ", '{"type": "REC'] },
      "system_error",
      /Line 3 .* is not JSON/,
    ],
    [
      "a line that is not UTF-8",
      {
        messages: [
          "",
          Buffer.from('{"type":"RECORD","record":{"stream":"users","data":{"id":"\xff"}}}', "latin1"),
        ],
      },
      "system_error",
      /Line 2 .* is not valid UTF-8/,
    ],
    [
      "a record of a stream that is not in the catalog",
      { messages: [record("orders", { id: 1 }, "public")] },
      "system_error",
      /stream public\.orders, which is not in the catalog/,
    ],
  ];
  for (const [what, input, type, message] of failures) {
    test(`fails with ${what}: ${type}`, async (t) => {
      const { config, everything } = await newStore();
      const files = { config: { ...config, ...input.config }, catalog: input.catalog ?? catalog };
      const destination = await startDestination(t, "write", files);
      destination.send(...(input.messages ?? [record("users", { id: 1 })]));
      // The input stays open, because the destination must not wait for the rest.
      const { code, errors, states, stderr } = await destination.ended;
      assert.deepEqual([code, states, stderr, errors.length], [1, [], "", 1]);
      assert.equal(errors[0].failure_type, type);
      assert.match(errors[0].message, message);
      assert.deepEqual(await everything(), {});
    });
  }

  test("of an unknown command fails and shows the usage", async (t) => {
    const { code, errors } = await (await startDestination(t, "discover")).end();
    assert.deepEqual([code, errors[0].failure_type], [1, "config_error"]);
    assert.match(errors[0].message, /^Usage: spec \|/);
  });

  test("stores records under nested, composite and long keys, and records without key values under their content", async (t) => {
    const { config, contents } = await newStore();
    const key = [["account", "region"], ["number"]];
    const orders = deduplicated("orders", { primary_key: key });
    const text = { type: "object", properties: { id: { type: ["null", "string"] } } };
    const { code } = await runWrite(
      t,
      config,
      { streams: [orders, deduplicated("tasks", { json_schema: text }), deduplicated("users")] },
      [
        record("orders", { account: { region: "eu" }, number: 1, v: 1 }),
        record("orders", { account: { region: "eu" }, number: 1, v: 2 }),
        record("orders", { account: {}, number: 1 }),
        record("orders", { account: null }),
        record("tasks", { id: "0042" }),
        record("tasks", { id: "42" }),
        '{"type":"RECORD","record":{"stream":"users","data":{"id":9007199254740993},"emitted_at":1}}',
        record("users", { id: "42" }),
        record("users", { id: "x".repeat(256) }),
        complete("orders"),
        complete("tasks"),
        complete("users"),
      ],
    );
    assert.equal(code, 0);
    const storedOrders = await contents("orders");
    assert.deepEqual(storedOrders['["eu",1]'], { account: { region: "eu" }, number: 1, v: 2 });
    assert.deepEqual(storedOrders["[null,1]"], { account: {}, number: 1 });
    assert.equal(Object.keys(storedOrders).filter((id) => id.startsWith("sha256:")).length, 1);
    assert.deepEqual(Object.keys(await contents("tasks")).sort(), ["0042", "42"]);
    const users = Object.entries(await contents("users"));
    const plain = users.filter(([id]) => !id.startsWith("sha256:"));
    assert.deepEqual(Object.fromEntries(plain), {
      '["42"]': { id: "42" },
      "9007199254740993": { id: "9007199254740993" },
    });
    assert.equal(users.length, 3);
  });

  test("uses the source's key if none is configured, and stores deletes of streams without a key as records", async (t) => {
    const { config, everything } = await newStore();
    const defined = stream("users");
    (defined.stream as Record<string, unknown>).source_defined_primary_key = [["id"]];
    const deleted = { id: 1, _ab_cdc_deleted_at: "2025-11-11T10:30:00Z" };
    await runWrite(t, config, { streams: [defined, stream("log")] }, [
      record("users", { id: 1, name: "a" }),
      record("users", { id: 2, name: "b" }),
      record("users", deleted),
      record("log", { id: 1, name: "a" }),
      record("log", deleted),
      complete("users"),
      complete("log"),
    ]);
    const { users, log } = await everything();
    assert.deepEqual(users, [{ id: 2, name: "b" }]);
    assert.equal(log!.length, 2);
  });

  test("logs what it did, and warns about values that it adapted", async (t) => {
    const { config } = await newStore();
    const { logs, stderr } = await runWrite(t, config, { streams: [refreshed("users", 1)] }, [
      record("users", { id: 1, text: "a\0b" }),
      '{"type":"RECORD","record":{"stream":"users","data":{"id":2,"n":1e999},"emitted_at":1}}',
      streamState("users", {}),
      complete("users"),
    ]);
    assert.equal(stderr, "");
    assert.deepEqual(logs, [
      "INFO The stream users replaces the namespace users when the stream is complete.",
      "INFO users: 2 records.",
      "WARN users: 1 numbers that a double cannot hold became strings.",
      "WARN users: invalid characters in 1 strings became U+FFFD.",
      "INFO Changes in the store: 2 created.",
    ]);
  });

  test("is newer than its connector's last sync, and warns if another connector is ahead", async (t) => {
    const { config, tidemark, contents } = await newStore();
    const ahead = new Date(Date.now() + 200_000).toISOString();
    const early = { action: "upsert" as const, namespace: "users", id: "1", data: { early: true } };
    const sync = { sync_mode: "incremental" as const, sync_timestamp: ahead, operations: [early] };
    const sent = [record("users", { id: 1 }), complete("users")];
    await tidemark.sync(sync);
    const own = await runWrite(t, config, catalog, sent);
    assert.ok(!own.logs.some((line) => line.startsWith("WARN")));
    assert.deepEqual(await contents("users"), { 1: { id: 1 } });

    const vector_store_id = String(config.vector_store_id);
    const otherConnector = await management.createConnector({ name: "Other", vector_store_id });
    const result = await runWrite(t, { ...config, api_key: otherConnector.api_key }, catalog, sent);
    assert.ok(result.logs.some((line) => line.startsWith("WARN 1 operations were stale")));
  });

  test("adds the stream to a failure of one stream", async (t) => {
    const { config } = await newStore();
    const data = JSON.parse(`${'{"a":'.repeat(70)}1${"}".repeat(70)}`);
    const catalog = { streams: [refreshed("users", 1, { namespace: "public" })] };
    const { errors } = await runWrite(t, config, catalog, [
      record("users", { id: 1 }, "public"),
      record("users", { id: 2, data }, "public"),
      complete("users", "public"),
    ]);
    assert.deepEqual(errors[0].stream_descriptor, { name: "users", namespace: "public" });
    assert.match(errors[0].message, /rejects the record "2" of public\/users/);
    assert.match(errors[0].internal_message, /INVALID_JSON .* req_/);
  });
});
