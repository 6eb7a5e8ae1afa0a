import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { ROOT } from "../docs/markdown.ts";
import { upsert } from "./pipeline.ts";
import { startSearching } from "./searching.ts";

/** Daily snapshots of the catalogue of known exploited vulnerabilities, oldest first. */
const CATALOGUE = new URL("../shared/data/kev/", ROOT);
const absent = existsSync(CATALOGUE)
  ? false
  : "the catalogue of known exploited vulnerabilities is not installed";

interface Vulnerability {
  cveID: string;
  vendorProject: string;
  product: string;
  vulnerabilityName: string;
  shortDescription: string;
}

test("search finds relevant records of a catalogue that was refreshed day by day", {
  skip: absent,
}, async (t) => {
  const { sync, index, search, found } = await startSearching(t);
  const days = readdirSync(CATALOGUE).sort();
  const last = new Map<string, Vulnerability>();
  for (const day of days) {
    const { vulnerabilities } = JSON.parse(readFileSync(new URL(day, CATALOGUE), "utf8"));
    last.clear();
    for (const item of vulnerabilities as Vulnerability[]) last.set(item.cveID, item);
    const operations = Array.from(last, ([id, data]) => upsert(id, { data, namespace: "kev" }));
    const sync_timestamp = `${day.slice(0, 10)}T00:00:00Z`;
    assert.equal((await sync({ sync_mode: "full_refresh", sync_timestamp, operations })).status, 200);
    await index();
  }

  const { body } = await search({ query: "authentication bypass in VPN appliance", include: ["data"] });
  assert.equal(body.data.length, 10);
  for (const { data } of body.data.slice(0, 5)) {
    const text = `${data.vulnerabilityName} ${data.shortDescription}`;
    assert.match(text, /authenticat|VPN/i);
  }
  const vpn = body.data.filter(({ data }: { data: Vulnerability }) =>
    /VPN|SSL|Connect Secure|gateway|firewall/i.test(JSON.stringify(data)),
  );
  assert.ok(vpn.length >= 5, `${vpn.length} of 10 results concern such appliances`);

  for (const id of ["CVE-2025-0282", ...[...last.keys()].filter((_, i) => i % 100 === 0)]) {
    assert.equal((await found(id))[0], id);
    assert.equal((await found(id.toLowerCase()))[0], id);
  }
  const cisco = await search({
    query: "command injection",
    filter: { vendorProject: "Cisco" },
    include: ["data"],
    limit: 20,
  });
  assert.ok(cisco.body.data.length >= 5);
  for (const { data } of cisco.body.data) assert.equal(data.vendorProject, "Cisco");

  for (const { id, data } of body.data.slice(0, 5)) t.diagnostic(`${id} ${data.vulnerabilityName}`);
});
