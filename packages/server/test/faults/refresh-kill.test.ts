import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { NamespaceObject, RefreshObject } from "@tidemark/protocol/browse";
import type { SyncResponse } from "@tidemark/protocol/sync";
import { openCommands } from "../../src/commands.ts";
import { readConfig } from "../../src/config.ts";
import { openStorage } from "../../src/storage/open.ts";
import { engines } from "../engines.ts";
import { changes, keepHouse } from "../http/staged-refresh-client.ts";
import { type Version, versionOf, Watcher } from "../http/staged-refresh-watcher.ts";
import { readRecords } from "../model/ledger-rows.ts";
import { type ServerProcess, startServerProcess } from "../server-process.ts";
import { syncBody } from "../test-server.ts";
import { createTarget } from "./load.ts";

/** Each round is a refresh of 12,000 records in three parts, with three kills. */
const ROUNDS = process.env.TIDEMARK_TEST_LONG ? 20 : 2;
const RECORDS = 12_000;
const PART = 4000;
const FILLER = "some text that makes a record about as long as records are. ".repeat(4);

/** The namespace of a round: a quarter of the last one's records is gone, and half of the others changed. */
const roundOf = (round: number) =>
  versionOf(
    `round ${round}`,
    Array.from({ length: RECORDS }, (_, i) => {
      const n = round * (RECORDS / 4) + i;
      return [`r${n}`, { n, v: n % 2 ? round : 0, FILLER }];
    }),
  );

const partOf = ({ ids, data }: Version, part: number) =>
  ids
    .slice(part * PART, (part + 1) * PART)
    .map((id) => ({ action: "upsert", id, namespace: "tasks", data: data.get(id) }));

for (const engine of engines) {
  test(`${engine.name}: a refresh of 12,000 records survives kills between its parts, in a part, and in its last batch`, async (t) => {
    const databaseUrl = await engine.createDatabase(t);
    const target = await createTarget(databaseUrl);
    const settings = { TIDEMARK_DATABASE_URL: databaseUrl, TIDEMARK_LOG_LEVEL: "info" };
    const headers = { "content-type": "application/json", "x-api-key": target.key };
    const store = `/v1/organizations/${target.organizationId}/vector-stores/${target.storeId}`;
    let server = await startServerProcess(t, settings);
    const get = async (path: string) => {
      const response = await fetch(server.url + store + path, { headers });
      return ((await response.json()) as { data: unknown[] }).data;
    };
    /** Sends a sync. @returns the text of its answer; undefined if the connection broke */
    const send = async ({ url }: ServerProcess, fields: object): Promise<string | undefined> => {
      let response: Response;
      let text: string;
      try {
        const body = JSON.stringify(syncBody(target, { ...fields }));
        response = await fetch(`${url}/v1/pipeline/sync`, { method: "POST", headers, body });
        text = await response.text();
      } catch {
        return undefined;
      }
      assert.equal(response.status, 200, text);
      return text;
    };
    const mustSend = async (fields: object): Promise<SyncResponse> =>
      JSON.parse((await send(server, fields)) ?? assert.fail("the connection broke"));
    /** How long a part takes: kills are aimed by it, some before its commit and some after. */
    let partMs = 0;
    const someMoment = () => pause(partMs * (0.2 + 1.1 * Math.random()));
    const restart = async (watcher: Watcher) => {
      watcher.expectDeath();
      await server.end("SIGKILL");
      await watcher.stop();
      server = await startServerProcess(t, settings);
    };
    /** Which of two versions the namespace is: one of them, whole. */
    const present = async (...versions: Version[]): Promise<Version> => {
      const [tasks] = (await get("/namespaces")) as NamespaceObject[];
      const found = versions.find(
        ({ digest, data }) => tasks!.digest === digest && tasks!.records === data.size,
      );
      return found ?? assert.fail(`the namespace is none of ${versions.map(({ name }) => name)}`);
    };
    const watch = (...versions: Version[]) => new Watcher(server.url, target, "tasks", versions);
    const outcomes = {
      part: { answered: 0, staged: 0, lost: 0 },
      last: { answered: 0, applied: 0, lost: 0 },
    };

    let before = await roundOf(0);
    for (const part of [0, 1, 2]) await mustSend({ operations: partOf(before, part) });
    for (let round = 1; round <= ROUNDS; round++) {
      const after = await roundOf(round);
      const fields = {
        sync_mode: "full_refresh",
        sync_timestamp: `2025-11-11T11:${String(round).padStart(2, "0")}:00Z`,
        refresh_id: "run",
      };
      const part = (number: number) => ({ ...fields, last_batch: false, operations: partOf(after, number) });
      const last = { ...fields, expected_operations: RECORDS, operations: partOf(after, 2) };
      const runs = async () =>
        ((await get("/refreshes")) as RefreshObject[]).map(({ operations, batches }) => [
          operations,
          batches,
        ]);

      // Between two parts: what was acknowledged is kept.
      let watcher = watch(before);
      const began = performance.now();
      await mustSend(part(0));
      partMs = performance.now() - began;
      await restart(watcher);
      assert.deepEqual(await runs(), [[PART, 1]]);
      // A client that is not sure sends it again: it counts once.
      assert.deepEqual((await mustSend(part(0))).refresh, {
        refresh_id: "run",
        operations: PART,
        batches: 1,
      });

      // In a part: it is staged whole or not at all, and may be sent again.
      watcher = watch(before);
      const sending = send(server, part(1));
      await someMoment();
      await restart(watcher);
      const answered = (await sending) !== undefined;
      const [[operations]] = (await runs()) as [[number, number]];
      assert.ok(operations === 2 * PART || (operations === PART && !answered), `${operations} operations`);
      outcomes.part[answered ? "answered" : operations === PART ? "lost" : "staged"]++;
      watcher = watch(before);
      const { refresh } = await mustSend(part(1));
      assert.deepEqual(refresh, { refresh_id: "run", operations: 2 * PART, batches: 2 });

      // In the last batch: it is applied whole or not at all, and may be sent again.
      watcher.expect(before, after);
      const applying = send(server, last);
      await someMoment();
      await restart(watcher);
      const firstAnswer = await applying;
      const now = await present(before, after);
      if (firstAnswer) assert.equal(now, after);
      outcomes.last[firstAnswer ? "answered" : now === after ? "applied" : "lost"]++;
      watcher = now === after ? watch(after) : watch(before, after);
      const answer = await mustSend(last);
      watcher.expect(after);
      if (firstAnswer) assert.equal(JSON.stringify(answer), firstAnswer);
      assert.deepEqual(
        answer.changes,
        changes({ created: 3000, updated: 4500, unchanged: 4500, cleared: 3000 }),
      );
      assert.deepEqual(answer.digests, { tasks: after.digest });
      await watcher.stop();
      assert.equal(await present(before, after), after);
      assert.deepEqual(await runs(), []);
      before = after;
    }

    t.diagnostic(`${3 * ROUNDS} kills: ${JSON.stringify(outcomes)}`);
    assert.deepEqual(await server.end("SIGTERM"), { code: 0, signal: null });
    const storage = await openStorage(databaseUrl);
    t.after(() => storage.close());
    await keepHouse(openCommands(storage, readConfig({}), () => Date.parse("2025-11-11T12:00:00Z")));
    const stored = await readRecords(storage, target.storeId, { swept: true });
    const data = new Map(stored.map(({ id, content }) => [id, (content as { data: object }).data]));
    assert.deepEqual(data, before.data);
    assert.deepEqual(await engine.findCorruption(storage), []);
  });
}
