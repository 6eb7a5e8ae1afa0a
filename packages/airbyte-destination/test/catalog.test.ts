import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readCatalog } from "../src/catalog.ts";
import { DestinationError } from "../src/failure.ts";
import { deduplicated, refreshed, stream } from "./destination.ts";

describe("a catalog", () => {
  const refused: [what: string, catalog: unknown, type: string, message: RegExp][] = [
    ["without streams", {}, "system_error", /has no streams/],
    ["with a stream without a name", { streams: [{}] }, "system_error", /without a name/],
    [
      "that deduplicates by nothing",
      { streams: [stream("users", { destination_sync_mode: "append_dedup", namespace: "public" })] },
      "config_error",
      /public\.users is to be deduplicated, but has no primary key/,
    ],
    [
      "with a sync mode of another kind",
      { streams: [stream("users", { destination_sync_mode: "soft_delete" })] },
      "config_error",
      /users has a sync mode that this destination does not have: soft_delete/,
    ],
    [
      "that has a stream twice",
      { streams: [stream("users"), stream("users", { namespace: "" })] },
      "config_error",
      /users is in the catalog twice/,
    ],
  ];
  for (const [what, catalog, type, message] of refused) {
    test(`${what} is refused: ${type}`, () => {
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
      "append_dedup that is refreshed",
      deduplicated("s", { generation_id: 3, minimum_generation_id: 3 }),
      true,
      3,
    ],
    ["append that is refreshed", stream("s", { generation_id: 3, minimum_generation_id: 3 }), true, 3],
    [
      "append that keeps some generations",
      stream("s", { generation_id: 4, minimum_generation_id: 3 }),
      true,
      3,
    ],
    ["overwrite without generations", refreshed("s", 0), true, undefined],
    [
      "overwrite of an old platform",
      refreshed("s", 0, { generation_id: null, minimum_generation_id: null }),
      true,
      undefined,
    ],
  ];
  for (const [what, configured, refresh, generation] of generations) {
    const meaning = refresh ? `is replaced (${generation ?? "no"} generation)` : "is added to";
    test(`with ${what}: the stream ${meaning}`, () => {
      const [read] = readCatalog({ streams: [configured] });
      assert.deepEqual([read!.refresh, read!.generation], [refresh, generation]);
    });
  }
});
