import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDateTime, parseDateTime } from "@tidemark/protocol/timestamps";
import fc from "fast-check";
import { LONG } from "../long.ts";

const RUNS = LONG ? 100_000 : 5000;
const pad = (number: number, length = 2) => String(number).padStart(length, "0");
const instant = fc.integer({ min: Date.UTC(1000, 0), max: Date.UTC(9998, 11, 31) });

test("a date-time is the moment that Date gives", () => {
  fc.assert(
    fc.property(instant, (ms) => {
      const text = new Date(ms).toISOString();
      assert.deepEqual(parseDateTime(text), { ns: BigInt(ms) * 1_000_000n, zoned: true });
    }),
    { numRuns: RUNS },
  );
});

test("an offset is subtracted in every notation", () => {
  const offset = fc.tuple(fc.constantFrom("+", "-"), fc.nat(23), fc.nat(59), fc.constantFrom(":", ""));
  fc.assert(
    fc.property(instant, offset, (ms, [sign, hours, minutes, colon]) => {
      const local = new Date(ms).toISOString().slice(0, -1);
      const expected = Date.parse(`${local}${sign}${pad(hours)}:${pad(minutes)}`);
      const parsed = parseDateTime(`${local}${sign}${pad(hours)}${colon}${pad(minutes)}`);
      assert.deepEqual(parsed, { ns: BigInt(expected) * 1_000_000n, zoned: true });
    }),
    { numRuns: RUNS },
  );
});

test("any number of fractional digits up to nine is exact", () => {
  const digits = fc.array(fc.constantFrom(..."0123456789"), { minLength: 1, maxLength: 9 });
  fc.assert(
    fc.property(instant, digits, (ms, list) => {
      const seconds = Math.floor(ms / 1000);
      const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
      const fraction = list.join("");
      const ns = BigInt(seconds) * 10n ** 9n + BigInt(fraction) * 10n ** BigInt(9 - fraction.length);
      assert.deepEqual(parseDateTime(`${whole}.${fraction}Z`), { ns, zoned: true });
    }),
    { numRuns: RUNS },
  );
  assert.equal(parseDateTime("1970-01-01T00:00:00.000000001Z")!.ns, 1n);
  assert.equal(parseDateTime("1969-12-31T23:59:59.999999999Z")!.ns, -1n);
  assert.equal(parseDateTime("1970-01-01T00:00:00.1234567890Z"), undefined);
});

test("a date-time in digits exists if and only if Date accepts it", () => {
  const parts = fc.tuple(
    fc.integer({ min: 0, max: 9999 }),
    fc.nat(14),
    fc.nat(33),
    fc.nat(26),
    fc.nat(62),
    fc.nat(62),
  );
  let existing = 0;
  fc.assert(
    fc.property(parts, ([year, month, day, hour, minute, second]) => {
      const text = `${pad(year, 4)}-${pad(month)}-${pad(day)}T${pad(hour)}:${pad(minute)}:${pad(second)}`;
      const date = new Date(0);
      date.setUTCFullYear(year, month - 1, day);
      date.setUTCHours(hour, minute, second);
      const exists = date.toISOString().slice(0, 19) === text;
      const parsed = parseDateTime(`${text}Z`);
      assert.equal(parsed !== undefined, exists, text);
      if (!exists) return;
      existing++;
      assert.equal(parsed!.ns, BigInt(date.getTime()) * 1_000_000n);
      assert.deepEqual(parseDateTime(text), { ns: parsed!.ns, zoned: false });
    }),
    { numRuns: RUNS },
  );
  assert.ok(existing > RUNS / 10 && existing < RUNS);
});

test("every day of 400 years exists, and days outside of months do not", () => {
  const days = new Set<string>();
  for (let ms = Date.UTC(1900, 0); ms < Date.UTC(2300, 0); ms += 86_400_000) {
    days.add(new Date(ms).toISOString().slice(0, 10));
  }
  for (let year = 1900; year < 2300; year++) {
    for (let month = 0; month <= 13; month++) {
      for (const day of [0, 1, 28, 29, 30, 31, 32]) {
        const date = `${year}-${pad(month)}-${pad(day)}`;
        assert.equal(parseDateTime(`${date}T00:00:00Z`) !== undefined, days.has(date), date);
      }
    }
  }
});

test("other notations of a time are rejected", () => {
  const date = "2025-11-11T10:30:00";
  for (const text of [
    "",
    "2025-11-11",
    "2025-11-11T10:30Z",
    "2025-11-11 10:30:00Z",
    "20251111T103000Z",
    "2025-W46-2T10:30:00Z",
    "2025-315T10:30:00Z",
    "+002025-11-11T10:30:00Z",
    "-2025-11-11T10:30:00Z",
    "25-11-11T10:30:00Z",
    "2025-11-11t10:30:00z",
    `${date}.Z`,
    `${date},5Z`,
    `${date}+01`,
    `${date}+1:00`,
    `${date}+24:00`,
    `${date}+00:60`,
    `${date}ZZ`,
    `${date}Z `,
    `${date}Z\n`,
    ` ${date}Z`,
    `${date}[Europe/Paris]`,
    `${date}Z[u-ca=hebrew]`,
    "2016-12-31T23:59:60Z",
    "2025-11-11T24:00:00Z",
    "Tue, 11 Nov 2025 10:30:00 GMT",
    "1762857000",
  ]) {
    assert.equal(parseDateTime(text), undefined, JSON.stringify(text));
  }
  assert.deepEqual(parseDateTime(`${date}-00:00`), parseDateTime(`${date}Z`));
});

test("a date-time is written in its shortest form, which parses back", () => {
  const ns = fc.bigInt({
    min: BigInt(Date.UTC(1000, 0)) * 10n ** 6n,
    max: BigInt(Date.UTC(9998, 0)) * 10n ** 6n,
  });
  fc.assert(
    fc.property(
      fc.oneof(
        ns,
        ns.map((ns) => ns - (ns % 1_000_000n)),
        ns.map((ns) => ns - (ns % 1_000_000_000n)),
      ),
      (ns) => {
        const text = formatDateTime(ns);
        assert.deepEqual(parseDateTime(text), { ns, zoned: true });
        assert.doesNotMatch(text, /\.\d*0Z$|\.Z$/);
      },
    ),
    { numRuns: RUNS },
  );
  assert.equal(formatDateTime(0n), "1970-01-01T00:00:00Z");
  assert.equal(formatDateTime(1n), "1970-01-01T00:00:00.000000001Z");
  assert.equal(formatDateTime(-1n), "1969-12-31T23:59:59.999999999Z");
  assert.equal(formatDateTime(1_762_857_000_500_000_000n), "2025-11-11T10:30:00.5Z");
});
