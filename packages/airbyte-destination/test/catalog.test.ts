import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readCatalog } from "../src/catalog.ts";
import { DestinationError } from "../src/failure.ts";
import { deduplicated, refreshed, stream } from "./destination.ts";

describe("a catalog", () => {
  const invalid: [what: string, catalog: unknown, type: string, message: RegExp][] = [
    ["without streams", {}, "system_error", /has no streams/],
    ["with a stream without a name", { streams: [{}] }, "system_error", /without a name/],
    [
      "with a deduplicated stream without a primary key",
      { streams: [stream("users", { destination_sync_mode: "append_dedup", namespace: "public" })] },
      "config_error",
      /public\.users has the sync mode append_dedup but no primary key/,
    ],
    [
      "with an unknown sync mode",
      { streams: [stream("users", { destination_sync_mode: "soft_delete" })] },
      "config_error",
      /users has the sync mode soft_delete, which this destination does not support/,
    ],
    [
      "that has a stream twice",
      { streams: [stream("users"), stream("users", { namespace: "" })] },
      "config_error",
      /catalog has the stream users twice/,
    ],
  ];
  for (const [what, catalog, type, message] of invalid) {
    test(`${what} is rejected: ${type}`, () => {
      assert.throws(
        () => readCatalog(catalog),
        (error) =>
          error instanceof DestinationError && error.failureType === type && message.test(error.message),
      );
    });
  }

  const generations: [
    what: string,
    configured: Record<string, unknown>,
    refresh: boolean,
    generation: number | undefined,
  ][] = [
    ["append", stream("s"), false, undefined],
    ["append_dedup", deduplicated("s"), false, undefined],
    ["overwrite", refreshed("s", 3), true, 3],
    ["overwrite_dedup", refreshed("s", 3, { destination_sync_mode: "overwrite_dedup" }), true, 3],
    [
      "append_dedup and a refresh",
      deduplicated("s", { generation_id: 3, minimum_generation_id: 3 }),
      true,
      3,
    ],
    ["append and a refresh", stream("s", { generation_id: 3, minimum_generation_id: 3 }), true, 3],
    [
      "append that keeps newer generations",
      stream("s", { generation_id: 4, minimum_generation_id: 3 }),
      true,
      3,
    ],
    ["overwrite without generations", refreshed("s", 0), true, undefined],
    [
      "overwrite by an old Airbyte",
      refreshed("s", 0, { generation_id: null, minimum_generation_id: null }),
      true,
      undefined,
    ],
  ];
  for (const [what, configured, refresh, generation] of generations) {
    const meaning = refresh ? `is replaced (${generation ?? "no"} generation)` : "is added to";
    test(`with ${what}: the stream ${meaning}`, () => {
      const [result] = readCatalog({ streams: [configured] });
      assert.deepEqual([result!.refresh, result!.generation], [refresh, generation]);
    });
  }
});
