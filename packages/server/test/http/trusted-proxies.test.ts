import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import type { Config } from "../../src/config.ts";
import { startTestServer } from "../test-server.ts";
import { SYNC } from "./pipeline.ts";

const from = (address: string) => ({ "x-forwarded-for": address });

for (const [title, trustedProxies, used] of [
  ["X-Forwarded-For is ignored by default", [], false],
  ["X-Forwarded-For of an untrusted proxy is ignored", ["10.0.0.0/8"], false],
  ["X-Forwarded-For of a trusted proxy is used", ["127.0.0.1"], true],
  ["a trusted proxy may be given as a range", ["127.0.0.0/8", "10.0.0.0/8"], true],
] as [string, Config["trustedProxies"], boolean][]) {
  test(title, async (t) => {
    const addresses: unknown[] = [];
    const log = pino({}, { write: (line: string) => addresses.push(JSON.parse(line).address) });
    const server = await startTestServer(t, { trustedProxies, failedAuthPerMinute: 1 }, { log });
    const status = async (address: string) => (await server.post(SYNC, {}, from(address))).status;
    assert.equal(await status("203.0.113.1"), 401);
    assert.equal(await status("203.0.113.2"), used ? 401 : 429);
    assert.equal(await status("203.0.113.1"), 429);
    // The proxy appends its address to the caller's own header, so only the last one counts.
    assert.equal(await status("198.51.100.9, 203.0.113.2"), 429);
    await server.app.close();
    const forwarded = ["203.0.113.1", "203.0.113.2", "203.0.113.1", "203.0.113.2"];
    const logged = addresses.filter((address) => address !== undefined);
    assert.deepEqual(logged, used ? forwarded : forwarded.map(() => "127.0.0.1"));
  });
}
