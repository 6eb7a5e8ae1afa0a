import assert from "node:assert/strict";
import { LIMITS } from "@tidemark/protocol/limits";
import type { Merge } from "../src/indexing/merge.ts";
import type {
  Build,
  IndexedChunk,
  IndexSnapshot,
  IndexTransaction,
  Segment,
} from "../src/storage/index-port.ts";
import { readTextSettings } from "../src/text/settings.ts";
import type { TestLedger, TestStore } from "./test-ledger.ts";

/** A build with defaults for what a test does not care about. */
export const BUILD: Build = {
  build: 1,
  state: "active",
  settings: { rules: 1, text: readTextSettings({}), embeddings: null },
  space: null,
  nextChunk: 0,
  nextSegment: 0,
  chunks: 0,
  terms: 0,
  walked: null,
  createdAt: 1_700_000_000_000,
};
/** A segment with such defaults. */
export const SEGMENT: Segment = {
  segment: 1,
  state: "live",
  firstChunk: 0,
  endChunk: 10,
  chunks: 10,
  bytes: 100,
  makingUntil: 0,
};

/** A chunk of a record's version, with defaults for what a test does not care about. */
export const chunkOf = (chunk: number, values: Partial<IndexedChunk>): IndexedChunk => ({
  ...{
    chunk,
    namespace: "tasks",
    id: "a",
    version: 1,
    ordinal: 0,
    text: `text ${chunk}`,
    terms: 2,
    vector: null,
  },
  ...values,
});

/** Changes a store's index in one transaction. */
export const change = <T>(
  { storage }: TestLedger,
  { storeId }: TestStore,
  work: (index: IndexTransaction) => Promise<T>,
) => storage.ledger(storeId, ({ index }) => work(index));
/** Reads a store's index from one snapshot. */
export const look = <T>(
  { storage }: TestLedger,
  { storeId }: TestStore,
  work: (index: IndexSnapshot) => Promise<T>,
) => storage.index.search(storeId, work);

/** Makes search find records by their newest version, as publishing does. */
export async function setIndexed(
  ledger: TestLedger,
  { storeId }: TestStore,
  ids: string[],
  namespace = "tasks",
) {
  return ledger.storage.ledger(storeId, async (tx) => {
    const rows = await tx.rowsOf([{ namespace, ids }]);
    await tx.index.setIndexed(rows.map((row) => ({ ...row, indexed: row.version })));
    return new Map(rows.map(({ id, version }) => [id, version!]));
  });
}

type Indexing = Pick<TestLedger, "commands" | "clock">;

/** Indexes everything of a store that waits, and does the steps of a new build. */
export async function bringUpToDate(
  { commands, clock }: Indexing,
  { storeId }: TestStore,
  { walks = true } = {},
): Promise<void> {
  for (;;) {
    const entries = await commands.claimEntries(storeId);
    const prepared = entries.length > 0 ? await commands.prepareEntries(storeId, entries) : null;
    if (prepared) await commands.publishEntries(storeId, prepared);
    else break;
    // Entries of records that changed meanwhile are deferred briefly.
    clock.now += 1000;
  }
  for (;;) {
    const next = walks ? await commands.prepareBuildStep(storeId) : null;
    if (!next?.step) return;
    await commands.publishBuildStep(storeId, next.step);
  }
}

/** Continues a merge to its end. */
export async function mergeAll({ commands }: Indexing, { storeId }: TestStore, merge: Merge): Promise<void> {
  for (;;) {
    const blocks = await commands.nextMerged(storeId, merge);
    if (!blocks) break;
    await commands.addToMerge(storeId, merge, blocks);
  }
  await commands.finishMerge(storeId, merge);
}

/** The words of the tests' records. */
export const WORDS = ["apple", "banana", "cherry", "damson", "elder"];

/** Every record that search finds by one of the words, as `id text`, sorted. */
export async function foundRecords(
  { commands }: Pick<TestLedger, "commands">,
  { organizationId, storeId }: TestStore,
): Promise<string[]> {
  const records: string[] = [];
  for (const query of WORDS) {
    const { data } = await commands.search(organizationId, storeId, { query, limit: LIMITS.searchResults });
    assert.ok(data.length < LIMITS.searchResults, "the page shows all results");
    records.push(...data.map(({ id, text }) => `${id} ${text}`));
  }
  return records.sort();
}
