import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { digestOf, type SourceRecord } from "@tidemark/client";
import { canonicalJson } from "@tidemark/protocol/canonical-json";
import { contentText, hashedText } from "@tidemark/protocol/digest";
import { createTenant, startTestServer, syncBody, temporaryFolder } from "../test-server.ts";
import { codeBlocks, ROOT } from "./markdown.ts";

const PAGE = "docs/reference/digests.md";
const run = promisify(execFile);

const [vector] = codeBlocks(PAGE, "json");
const records = JSON.parse(vector!) as SourceRecord[];
const digest = codeBlocks(PAGE, "text")[0]!.trim();
const [pythonCode] = codeBlocks(PAGE, "python");
const noPython =
  spawnSync("python3", ["--version"]).status === 0 ? false : "python3 --version does not run here";

/** Values that two languages easily write differently. */
const HARD_VALUES = [
  ...[0, 1, -1, 0.1, 1.5, 100, 1e15, 123456789.125, 9007199254740991, 9007199254740994, -1e20, 1e21, -1e22],
  ...[1e-5, 1.5e-6, 1e-6, 9.99e-7, 1e-7, 1e-9, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308],
  ...[999999999999999900000, 1e23, 2 ** 60, 4.35, 333333333.3333333, 0.000001234, 1 / 3],
  ...[
    "",
    "\0",
    "\u0001\b\t\n\v\f\r\u001f \u007f\u0080\u2028\u2029\ufeff\uffff",
    '"\\/',
    "é e\u0301",
    "\u{1f600}",
  ],
  ...[null, true, false, [], {}, [[]], { "": [{}] }],
  { "\ufb33": 1, "\u{1f600}": 2, b: 3, a: 4, B: 5, "10": 6, "9": 7, é: 8, "\r": 9, aa: 10 },
];

test("the protocol computes the test vector's hashes and digest", async () => {
  const rows = readFileSync(new URL(PAGE, ROOT), "utf8").matchAll(
    /^\| `(.*?)` \| (.*) \| `([0-9a-f]{64})` \|$/gm,
  );
  const shown = new Map([...rows].map(([, id, text, hash]) => [id!, { text: text!, hash: hash! }]));
  assert.equal(shown.size, records.length);
  let whole = 0;
  for (const record of records) {
    const text = hashedText(record.id, contentText(record));
    const row = shown.get(record.id)!;
    assert.equal(row.hash, createHash("sha256").update(text).digest("hex"), record.id);
    if (!row.text.startsWith("`[")) continue;
    whole++;
    assert.equal(row.text, `\`${text}\``);
  }
  assert.ok(whole >= 3);
  assert.equal(await digestOf(records), digest);
  assert.equal(await digestOf(records.toReversed()), digest);
  assert.equal(await digestOf([]), "0".repeat(64));
});

test("a server that gets the test vector answers its digest", async (t) => {
  const server = await startTestServer(t);
  const tenant = await createTenant(server.commands);
  const operations = records.map((record) => ({ action: "upsert", namespace: "vector", ...record }));
  // Sent as written in the document, where 3.0 equals 3 and -0.0 equals 0.
  const written = vector!.replaceAll(
    /^( *\{)?( *)"id":/gm,
    '$1$2"action": "upsert", "namespace": "vector", "id":',
  );
  assert.deepEqual(JSON.parse(written), operations);
  const body = JSON.stringify(syncBody(tenant)).replace('"operations":[]', `"operations":${written}`);
  const answer = await server.post("/v1/pipeline/sync", body, { "x-api-key": tenant.key });
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.body.digests, { vector: digest });
});

test("the page's JavaScript prints the digest of its records", async (t) => {
  const folder = await temporaryFolder(t);
  await symlink(fileURLToPath(new URL("node_modules", ROOT)), join(folder, "node_modules"));
  const [code] = codeBlocks(PAGE, "javascript");
  await writeFile(join(folder, "example.mjs"), code!);
  const { stdout } = await run(process.execPath, ["example.mjs"], { cwd: folder });
  const tickets = [
    { id: "ticket_1", data: { subject: "Printer on fire" } },
    { id: "ticket_4", data: { subject: "Keyboard has no any key" } },
  ];
  assert.equal(stdout.trim(), await digestOf(tickets));
});

test("the page's Python computes the same digest, and the same text of difficult values", {
  skip: noPython,
}, async (t) => {
  const folder = await temporaryFolder(t);
  const main = `
import sys
with open("records.json", encoding="utf-8") as file:
    lines = [namespace_digest(json.load(file))]
with open("values.json", encoding="utf-8") as file:
    lines += map(canonical, json.load(file))
sys.stdout.buffer.write("\\n".join(lines).encode())
`;
  await writeFile(join(folder, "digest.py"), `${pythonCode}\n${main}`);
  await writeFile(join(folder, "records.json"), vector!);
  await writeFile(join(folder, "values.json"), JSON.stringify(HARD_VALUES));
  const { stdout } = await run("python3", ["-B", "digest.py"], { cwd: folder });
  const [answered, ...texts] = stdout.split("\n");
  assert.equal(answered, digest);
  assert.deepEqual(texts, HARD_VALUES.map(canonicalJson));
});
