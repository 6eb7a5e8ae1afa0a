import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readConfig } from "../src/config.ts";
import { SPEC } from "../src/spec.ts";

const VALID = {
  url: "https://tidemark.example/",
  api_key: " key ",
  organization_id: "org_a",
  vector_store_id: "vs_a",
};

describe("a configuration", () => {
  test("has the defaults that the form shows", () => {
    const config = readConfig(VALID);
    assert.deepEqual(config, {
      url: "https://tidemark.example/",
      apiKey: "key",
      organizationId: "org_a",
      vectorStoreId: "vs_a",
      removalLimit: undefined,
      batchRecords: 5000,
      flushIntervalMs: 30_000,
    });
    const { batch_records, flush_interval_seconds } = SPEC.connectionSpecification.properties;
    assert.deepEqual([batch_records.default, flush_interval_seconds.default], [5000, 30]);
  });

  const limits: [setting: unknown, limit: unknown][] = [
    ["20%", "20%"],
    ["0.5%", "0.5%"],
    ["100%", "100%"],
    ["1000", 1000],
    [0, 0],
    ["", undefined],
    [null, undefined],
  ];
  for (const [setting, limit] of limits) {
    test(`may have the removal limit ${JSON.stringify(setting)}`, () => {
      assert.equal(readConfig({ ...VALID, removal_limit: setting }).removalLimit, limit);
      assert.match(
        String(setting ?? ""),
        new RegExp(SPEC.connectionSpecification.properties.removal_limit.pattern),
      );
    });
  }

  const invalid: [change: Record<string, unknown>, message: RegExp][] = [
    [{ url: "" }, /Server URL \(url\) is missing/],
    [{ url: "tidemark.example" }, /not an http or https address/],
    [{ url: "ftp://tidemark.example" }, /not an http or https address/],
    [{ api_key: 5 }, /API key \(api_key\) is missing/],
    [{ organization_id: undefined }, /Organization \(organization_id\) is missing/],
    [{ vector_store_id: " " }, /Vector store \(vector_store_id\) is missing/],
    [{ removal_limit: "120%" }, /Removal limit/],
    [{ removal_limit: "100.5%" }, /Removal limit/],
    [{ removal_limit: "many" }, /Removal limit/],
    [{ batch_records: 5001 }, /batch_records must be a number from 1 to 5000/],
    [{ batch_records: 1.5 }, /batch_records must be a number/],
    [{ flush_interval_seconds: "30" }, /flush_interval_seconds must be a number/],
  ];
  for (const [change, message] of invalid) {
    test(`with ${JSON.stringify(change)} is rejected`, () => {
      assert.throws(() => readConfig({ ...VALID, ...change }), message);
    });
  }
});
