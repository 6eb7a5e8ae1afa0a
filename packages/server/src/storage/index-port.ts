/**
 * The index half of the storage port. Everything here is derived from the ledger. `indexing/` and `search/` decide how
 * the index is built and searched, alike on every engine; an engine stores rows, reads them, and compares vectors.
 */

import type { SegmentBlock } from "../lexical/segment.ts";
import type { MaintenanceStep } from "./background-step.ts";
import type { BuildSettings } from "./build-settings.ts";
import type { RecordKey } from "./record-key.ts";

/** A whole index of a store, made with one set of settings. */
export interface Build {
  build: number;
  /** `active`: serves searches. `building`: will serve once it has every record. `retired`: being removed. */
  state: "active" | "building" | "retired";
  settings: BuildSettings;
  /** The vector space of its vectors; null: it has no vectors. */
  space: number | null;
  /** The first unused numbers. */
  nextChunk: number;
  nextSegment: number;
  /** The number of live chunks, and of all their terms. */
  chunks: number;
  terms: number;
  /** While the build is `building`: the record up to which it is complete. */
  walked: RecordKey | null;
  createdAt: number;
}

/** A version of a record's content. */
export interface RecordVersion extends RecordKey {
  version: number;
}

/** An entry of the index queue: a version that the indexer must index or clean up. */
export interface QueueEntry extends RecordVersion {
  /** How often indexing it failed. */
  attempts: number;
}

/** Leaves a queue entry for a later time. */
export interface Deferral {
  version: number;
  attempts: number;
  /** Why the last attempt failed; null: the entry only has to wait. */
  error: string | null;
  /** The earliest time of the next attempt, ms since 1970; null: failed, until an operator retries it. */
  dueAt: number | null;
}

/** A piece of a record's text that search ranks and shows. */
export interface Chunk extends RecordVersion {
  /** The chunk's position in the record, from 0. */
  ordinal: number;
  text: string;
}

/** A chunk with its numbers in a build. */
export interface IndexedChunk extends Chunk {
  chunk: number;
  /** How many terms the chunk has. */
  terms: number;
  vector: number | null;
}

/** An immutable part of the inverted index, for chunks from `firstChunk` up to but not including `endChunk`. */
export interface Segment {
  segment: number;
  /** `merging`: being made from other segments. `merged`: replaced by another segment and being removed. */
  state: "live" | "merging" | "merged";
  firstChunk: number;
  endChunk: number;
  /** How many chunks were live when the segment was made. */
  chunks: number;
  bytes: number;
  /** While `merging`: no other process takes over before this time, ms since 1970. */
  makingUntil: number;
}

/** A text's vector of length 1, with the text's hash. */
export interface NewVector {
  hash: string;
  embedding: Float32Array;
}

/** A row of the ledger with the version that it is found by. */
export interface IndexedRow extends RecordKey {
  generation: number;
  /** Null: no version yet. */
  indexed: number | null;
}

/** Changes a store's index, within a transaction under the store lock. */
export interface IndexTransaction {
  /** All builds, including retired ones. */
  builds(): Promise<Build[]>;
  /** Inserts a build, or replaces the one with its number. */
  putBuild(build: Build): Promise<void>;
  /** Which of the versions are still in the queue. */
  queued(versions: number[]): Promise<Set<number>>;
  /** Removes versions from the queue. */
  settle(versions: number[]): Promise<void>;
  /** Sets the versions that rows are found by. The rows must have been read in this transaction. */
  setIndexed(rows: IndexedRow[]): Promise<void>;
  addChunks(build: number, chunks: IndexedChunk[]): Promise<void>;
  /** Which of the versions have chunks in a build. */
  versionsIn(build: number, versions: RecordVersion[]): Promise<Set<number>>;
  /** Removes the chunks of versions from every build. @returns the removed chunks and their terms, by build */
  dropChunks(versions: RecordVersion[]): Promise<Map<number, { chunks: number; terms: number }>>;
  segments(build: number): Promise<Segment[]>;
  putSegment(build: number, segment: Segment): Promise<void>;
  addBlocks(build: number, segment: number, blocks: SegmentBlock[]): Promise<void>;
  /** Adds vectors, except for texts that already have one. */
  addVectors(space: number, vectors: NewVector[]): Promise<void>;
  /** The numbers of texts' vectors, by hash. */
  findVectors(space: number, hashes: string[]): Promise<Map<string, number>>;
}

/** A store whose index may need work. */
export interface StoreToIndex {
  storeId: string;
  /** The store's settings, JSON. */
  settings: string;
  /** True if a queue entry is due. */
  due: boolean;
  /** True if a build is `building`. */
  building: boolean;
}

/** Reads and changes of an index outside of ledger transactions. */
export interface IndexStorage {
  /** Every store that callers can reach. */
  stores(now: number): Promise<StoreToIndex[]>;
  builds(storeId: string): Promise<Build[]>;
  /** Claims due entries, oldest version first: no other process claims them before `until`. */
  claim(storeId: string, now: number, until: number, limit: number): Promise<QueueEntry[]>;
  /** Leaves entries for later. Entries that were settled meanwhile stay settled. */
  defer(storeId: string, deferrals: Deferral[]): Promise<void>;
  /** Contents by version, canonical JSON, without those that are gone. */
  contents(storeId: string, versions: number[]): Promise<Map<number, string>>;
  /** The versions that the records behind `after` are found by, ordered by namespace and id. */
  indexedRecords(storeId: string, after: RecordKey | null, limit: number): Promise<RecordVersion[]>;
  /** The chunks of versions in a build, in the order of the versions. */
  chunks(storeId: string, build: number, versions: RecordVersion[]): Promise<Chunk[]>;
  findVectors(storeId: string, space: number, hashes: string[]): Promise<Map<string, number>>;
  /** As {@link IndexTransaction.addVectors}, without the store lock, because adding many vectors takes long. */
  addVectors(storeId: string, space: number, vectors: NewVector[]): Promise<void>;
  segments(storeId: string, build: number): Promise<Segment[]>;
  /** The next blocks of a segment behind a term, in order. */
  blocks(storeId: string, build: number, segment: number, after: string | null): Promise<SegmentBlock[]>;
  /** The numbers of live chunks from `from` up to but not including `to`. */
  liveChunks(storeId: string, build: number, from: number, to: number): Promise<number[]>;
  /**
   * Keeps vector search quick as a store grows. Long work continues in the background; a call with nothing to do is
   * cheap.
   * @returns a problem that an operator should know, in one line; null: none
   */
  maintainVectors(storeId: string): Promise<string | null>;
  /** Removes some rows that no build needs any longer, and makes failed entries due if their content is gone. */
  sweep(now: number): Promise<MaintenanceStep>;
  /** Reads a store's index from one committed snapshot. */
  search<T>(storeId: string, work: (index: IndexSnapshot) => Promise<T>): Promise<T>;
}

/** A chunk that search may show. */
export interface ShownChunk extends Omit<Chunk, "version"> {
  chunk: number;
  /** When the record's content arrived, ms since 1970. */
  writtenAt: number;
  /** Canonical JSON; null unless requested. */
  content: string | null;
}

/** A chunk that a retriever proposes. */
export interface Candidate {
  chunk: number;
  /** Higher is better: BM25, or the cosine of the chunk's vector and the query's. */
  score: number;
}

/** One committed state of a store's index. */
export interface IndexSnapshot {
  /** The active build; undefined: nothing was indexed yet. */
  activeBuild(): Promise<Build | undefined>;
  liveSegments(build: number): Promise<Segment[]>;
  /** For each segment and term, the block that may have the term. */
  blocksOf(build: number, segments: number[], terms: string[]): Promise<TermBlock[]>;
  /** The visible ones among the chunks, in any order. */
  visible(
    build: number,
    chunks: number[],
    namespaces: string[] | null,
    withContent: boolean,
  ): Promise<ShownChunk[]>;
  /** How many chunks the namespaces have, counted up to a limit. */
  countChunks(build: number, namespaces: string[], limit: number): Promise<number>;
  /** The numbers of all chunks of the namespaces. */
  chunksOf(build: number, namespaces: string[]): Promise<number[]>;
  /** Why this database cannot compare vectors, in one line for an operator; null: it can. */
  vectorProblem(): Promise<string | null>;
  /**
   * The chunks whose vectors are nearest, best first; fewer than `limit` if there are no more. Some may not be visible.
   * @param namespaces null: all
   */
  nearest(
    build: Build,
    query: Float32Array,
    namespaces: string[] | null,
    limit: number,
  ): Promise<Candidate[]>;
  /** How many queue entries wait, up to a revision of the store (null: all), counted up to a limit. */
  pending(revision: number | null, limit: number): Promise<number>;
}

export interface TermBlock {
  segment: number;
  term: string;
  data: Uint8Array;
}
