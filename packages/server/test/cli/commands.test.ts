import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { engines } from "../engines.ts";
import { type Environment, runForObject, runTidemark, startServerProcess } from "../server-process.ts";
import { openTestLedger } from "../test-ledger.ts";
import { temporaryFolder } from "../test-server.ts";

async function emptyDatabase(t: TestContext): Promise<Environment> {
  return { TIDEMARK_DATABASE_URL: `file:${await temporaryFolder(t)}/tidemark.db` };
}

async function createChain(settings: Environment) {
  const organization = await runForObject(["org", "create", "Acme"], settings);
  const inside = ["--organization", organization.id];
  const store = await runForObject(["store", "create", "Docs", ...inside], settings);
  const connector = await runForObject(
    ["connector", "create", "Airbyte", ...inside, "--store", store.id],
    settings,
  );
  return { organization, inside, store, connector };
}

describe("the command line", () => {
  test("prints with --json the API's objects, with keys that work", async (t) => {
    const settings = await emptyDatabase(t);
    const server = await startServerProcess(t, settings);
    const { organization, inside, store, connector } = await createChain(settings);
    const [admin, reader] = await Promise.all([
      runForObject(["key", "create", "Ops", "--role", "admin", ...inside], settings),
      runForObject(["key", "create", "--role", "reader", "--store", store.id, ...inside], settings),
    ]);
    const get = async (path: string, key: string) => {
      const url = `${server.url}/v1/organizations/${organization.id}${path}`;
      const response = await fetch(url, { headers: { "x-api-key": key } });
      return { status: response.status, body: (await response.json()) as { data: unknown[] } };
    };

    assert.deepEqual(await get(`/vector-stores/${store.id}`, admin.api_key), { status: 200, body: store });
    assert.deepEqual(await get(`/vector-stores/${store.id}`, reader.api_key), { status: 200, body: store });
    const { api_key, ...shown } = connector;
    assert.match(api_key, /^tdm_c_/);
    assert.deepEqual(await get(`/connectors/${connector.id}`, admin.api_key), { status: 200, body: shown });

    const [stores, connectors, keys, organizations] = await Promise.all([
      runForObject(["store", "list", ...inside], settings),
      runForObject(["connector", "list", ...inside], settings),
      runForObject(["key", "list", ...inside], settings),
      runForObject(["org", "list"], settings),
    ]);
    assert.deepEqual((await get("/vector-stores", admin.api_key)).body, stores);
    assert.deepEqual((await get("/connectors", admin.api_key)).body, connectors);
    assert.deepEqual(organizations.data, [organization]);
    const { api_key: adminKey, ...adminShown } = admin;
    assert.deepEqual(
      keys.data.find(({ id }: { id: string }) => id === admin.id),
      adminShown,
    );
    assert.match(adminKey, /^tdm_a_/);
    assert.deepEqual(
      [keys.object, keys.data.length, keys.has_more, keys.next_cursor],
      ["list", 3, false, null],
    );
    assert.doesNotMatch(JSON.stringify(keys), /api_key"?:/);
  });

  test("uses the ids that a script chooses, and reports in one line that an id is taken", async (t) => {
    const settings = await emptyDatabase(t);
    const inside = ["--organization", "org_acme"];
    const creations = [
      ["org", "create", "Acme", "--id", "org_acme"],
      ["store", "create", "Docs", "--id", "vs_docs", ...inside],
      ["connector", "create", "Airbyte", "--id", "conn_airbyte", "--store", "vs_docs", ...inside],
    ];
    for (const creation of creations) {
      const made = await runForObject(creation, settings);
      assert.equal(made.id, creation[creation.indexOf("--id") + 1]);
      const again = await runTidemark(creation, settings);
      assert.equal(again.code, 1);
      assert.equal(again.stdout, "");
      assert.equal(again.stderr, `tidemark: Something with this id already exists. (${made.id})\n`);
    }
    const bad = await runTidemark(["org", "create", "Acme", "--id", "acme"], settings);
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /org_/);
    assert.equal((await runForObject(["org", "list"], settings)).data.length, 1);
  });

  test("reports a missing object in one line on standard error, with exit code 1", async (t) => {
    const settings = await emptyDatabase(t);
    await runForObject(["org", "create", "Acme", "--id", "org_acme"], settings);
    const attempts: [args: string[], message: RegExp][] = [
      [["store", "create", "Docs", "--organization", "org_no"], /\(org_no\)/],
      [["store", "list", "--organization", "org_no"], /\(org_no\)/],
      [["connector", "list", "--organization", "org_no"], /\(org_no\)/],
      [["key", "list", "--organization", "org_no"], /\(org_no\)/],
      [["key", "create", "--role", "admin", "--organization", "org_no"], /\(org_no\)/],
      [["connector", "create", "X", "--organization", "org_acme", "--store", "vs_no"], /\(vs_no\)/],
      [["key", "create", "--role", "reader", "--organization", "org_acme", "--store", "vs_no"], /\(vs_no\)/],
      [
        ["key", "create", "--role", "admin", "--organization", "org_acme", "--store", "vs_no"],
        /only allowed for the role reader/,
      ],
      [["key", "create", "--role", "admin", "--organization", "org_acme", "--expires", "soon"], /date-time/],
      [
        [
          "key",
          "create",
          "--role",
          "admin",
          "--organization",
          "org_acme",
          "--expires",
          "2020-01-01T00:00:00Z",
        ],
        /future/,
      ],
      [["org", "revoke", "org_no"], /\(org_no\)/],
      [["store", "revoke", "vs_no"], /\(vs_no\)/],
      [["connector", "revoke", "conn_no"], /\(conn_no\)/],
      [["key", "revoke", "key_no"], /\(key_no\)/],
    ];
    const results = await Promise.all(attempts.map(([args]) => runTidemark(args, settings)));
    for (const [index, [args, message]] of attempts.entries()) {
      const { code, stdout, stderr } = results[index]!;
      assert.equal(code, 1, args.join(" "));
      assert.equal(stdout, "", args.join(" "));
      assert.match(stderr, message);
      assert.match(stderr, /^tidemark: [^\n]+\n$/);
    }
  });

  test("prints every page of a list in one table", async (t) => {
    const { databaseUrl, commands, createStore } = await openTestLedger(t, engines[0]!);
    const settings = { TIDEMARK_DATABASE_URL: databaseUrl };
    const { organizationId, storeId } = await createStore();
    const names = Array.from({ length: 249 }, (_, index) => `Store ${index}`);
    for (const name of names) await commands.createVectorStore(organizationId, { name }, Date.now());
    const inside = ["--organization", organizationId];

    const list = await runForObject(["store", "list", ...inside], settings);
    assert.equal(new Set(list.data.map(({ id }: { id: string }) => id)).size, 250);
    const { stdout } = await runTidemark(["store", "list", ...inside], settings);
    const [head, ...rows] = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
    assert.deepEqual(head, ["id", "name", "record_count", "created_at"]);
    assert.equal(rows.length, 250);
    const own = list.data.find(({ id }: { id: string }) => id === storeId);
    assert.deepEqual(
      rows.find(([id]) => id === storeId),
      [storeId, "Test store", "0", own.created_at],
    );
  });

  test("shows a key once, and says so", async (t) => {
    const settings = await emptyDatabase(t);
    const { id } = await runForObject(["org", "create", "Acme"], settings);
    const inside = ["--organization", id];
    const created = await runTidemark(["key", "create", "Ops", "--role", "reader", ...inside], settings);
    const [, key] = /^api_key +(tdm_r_\w+)$/m.exec(created.stdout)!;
    assert.match(created.stdout, /shown only once/);
    const listed = await runTidemark(["key", "list", ...inside], settings);
    assert.match(listed.stdout, /Ops/);
    assert.equal(listed.stdout.includes(key!), false);
  });

  test("revokes one key, or all keys of a connector, a store or an organization", async (t) => {
    const settings = await emptyDatabase(t);
    const { organization, inside, store, connector } = await createChain(settings);
    const live = async () => {
      const { data } = await runForObject(["key", "list", ...inside], settings);
      return data.flatMap((key: { id: string; revoked_at: string | null }) =>
        key.revoked_at ? [] : [key.id],
      );
    };
    const createKey = (...args: string[]) =>
      runForObject(["key", "create", "--role", "reader", ...inside, ...args], settings);
    const [one, two, ofStore] = [await createKey(), await createKey(), await createKey("--store", store.id)];
    assert.equal((await live()).length, 4);

    const revoked = await runForObject(["key", "revoke", one.id], settings);
    assert.deepEqual(
      revoked.data.map(({ id }: { id: string }) => id),
      [one.id],
    );
    assert.ok(revoked.data[0].revoked_at);
    assert.deepEqual((await runForObject(["key", "revoke", one.id], settings)).data, []);
    assert.deepEqual(new Set(await live()), new Set([two.id, ofStore.id, connector.keys[0].id]));

    await runForObject(["connector", "revoke", connector.id], settings);
    assert.deepEqual(new Set(await live()), new Set([two.id, ofStore.id]));
    await runForObject(["store", "revoke", store.id], settings);
    assert.deepEqual(await live(), [two.id]);
    await runForObject(["org", "revoke", organization.id], settings);
    assert.deepEqual(await live(), []);
  });

  test("revokes a key on a running server", async (t) => {
    const settings = await emptyDatabase(t);
    const { organization, store, connector } = await createChain(settings);
    const server = await startServerProcess(t, settings);
    const query = `organization_id=${organization.id}&vector_store_id=${store.id}`;
    const status = async () => {
      const response = await fetch(`${server.url}/v1/pipeline/health/validate?${query}`, {
        headers: { "x-api-key": connector.api_key },
      });
      return response.status;
    };
    assert.equal(await status(), 200);
    await runForObject(["key", "revoke", connector.keys[0].id], settings);
    // The contract allows the server 5 seconds.
    for (let tries = 0; tries < 50 && (await status()) !== 401; tries++) await pause(100);
    assert.equal(await status(), 401);
  });
});
