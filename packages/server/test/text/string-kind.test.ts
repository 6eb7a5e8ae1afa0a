import assert from "node:assert/strict";
import { test } from "node:test";
import { kindOf } from "../../src/text/string-kind.ts";

const KINDS: Record<ReturnType<typeof kindOf>, string[]> = {
  text: [
    "open",
    "Printer on fire",
    "CVE-2025-0282",
    "task_123",
    "cus_NffrFeUfNV2Hib",
    "v1.2.3",
    "ada@example.com",
    "node.js",
    "日本語のテキスト",
    "é",
    "d670460b",
    "see https://example.com/a for more",
    "2025 was a good year",
    "x".repeat(63),
    '{"json":"in a string"}',
    "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz".repeat(2),
  ],
  words: [
    "42",
    "10.0.0.1",
    "+49 30 901820",
    "2025-08-25",
    "2025-08-25T10:30:00Z",
    "2025-08-25T10:30:00.123456789+01:00",
    "2025-08-25 10:30:00 UTC",
    "2025-08-25T10:30:00Z 2025-08-26T10:30:00Z",
    "https://example.com/a?b=c",
    "s3://bucket/key",
    "https://example.com/a ; https://example.com/b",
    "8f14e45f-ceea-467f-a0e6-1b2c3d4e5f60",
    "d670460b4b4aece5915caf5c68d12f560a9fe3e4",
    "QUJD".repeat(16),
  ],
  none: [
    "",
    "---",
    "…",
    "QUJD".repeat(40),
    `${"QUJD".repeat(40)}=\n`.repeat(3),
    `data:image/png;base64,${"QUJD".repeat(40)}`,
    Array.from({ length: 300 }, (_, i) => `https://example.com/${i}`).join(" "),
  ],
};

for (const [kind, values] of Object.entries(KINDS)) {
  for (const value of values) {
    test(`${kind}: ${JSON.stringify(value).slice(0, 60)}`, () => assert.equal(kindOf(value), kind));
  }
}
