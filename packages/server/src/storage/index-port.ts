/**
 * The index half of the storage port. Everything here is derived from the ledger. What the index is made of and how it
 * is searched is decided in `indexing/` and `search/`, alike on every engine; an engine keeps rows, finds them again,
 * and knows which vectors are near.
 */

import type { SegmentBlock } from "../lexical/segment.ts";
import type { MaintenanceStep } from "./background-step.ts";
import type { BuildSettings } from "./build-settings.ts";
import type { RecordKey } from "./record-key.ts";

/** A whole index of a store, made with one set of settings. */
export interface Build {
  build: number;
  /** `active`: it serves. `building`: it will, once it has every record. `retired`: its rows are being removed. */
  state: "active" | "building" | "retired";
  settings: BuildSettings;
  /** Its vectors are compared within this; null: it has none. */
  space: number | null;
  /** The first numbers that were never used. */
  nextChunk: number;
  nextSegment: number;
  /** Chunks that records have, and the terms of all of them. */
  chunks: number;
  terms: number;
  /** While it is being built: the record up to which it has everything. */
  walked: RecordKey | null;
  createdAt: number;
}

/** A content of a record. */
export interface RecordVersion extends RecordKey {
  version: number;
}

/** An entry of the index queue: a content that the index has to look at. */
export interface QueueEntry extends RecordVersion {
  /** Times that it failed. */
  attempts: number;
}

/** How an entry is left for later. */
export interface Deferral {
  version: number;
  attempts: number;
  /** Why it failed; null: it did not, it only has to wait. */
  error: string | null;
  /** Not before, ms since 1970; null: it has failed, until an operator has it tried again. */
  dueAt: number | null;
}

/** A chunk of a record: a stretch of its text that search finds and shows. */
export interface Chunk extends RecordVersion {
  /** Its place in the record, from 0. */
  ordinal: number;
  text: string;
}

/** A chunk as the index has it. */
export interface IndexedChunk extends Chunk {
  chunk: number;
  /** How many terms it has. */
  terms: number;
  vector: number | null;
}

/** An immutable part of the inverted index: of some of the chunks from `firstChunk` on, before `endChunk`. */
export interface Segment {
  segment: number;
  /** `merging`: being made of others. `merged`: it went into another one, and its rows are being removed. */
  state: "live" | "merging" | "merged";
  firstChunk: number;
  endChunk: number;
  /** How many were live when it was made. */
  chunks: number;
  bytes: number;
  /** Of one that is being made: nobody else makes it before, ms since 1970. */
  makingUntil: number;
}

/** A text's vector, of length 1, by the text's hash. */
export interface NewVector {
  hash: string;
  embedding: Float32Array;
}

/** What a row of the ledger says about the index. */
export interface IndexedRow extends RecordKey {
  generation: number;
  /** The version whose text search finds the record by; null: none yet. */
  indexed: number | null;
}

/** Changes a store's index, within a transaction under the store lock. */
export interface IndexTransaction {
  /** All of them, retired ones too. */
  builds(): Promise<Build[]>;
  /** Puts a build in the place of the one with its number. */
  putBuild(build: Build): Promise<void>;
  /** Which of the versions are still in the queue. */
  queued(versions: number[]): Promise<Set<number>>;
  /** Takes versions out of the queue. */
  settle(versions: number[]): Promise<void>;
  /** Notes that search finds records by what these rows, read in this transaction, say. */
  setIndexed(rows: IndexedRow[]): Promise<void>;
  addChunks(build: number, chunks: IndexedChunk[]): Promise<void>;
  /** Which of the versions have chunks in a build. */
  versionsIn(build: number, versions: RecordVersion[]): Promise<Set<number>>;
  /** Removes the chunks of versions from every build. @returns how many, and how many terms they had, by build */
  dropChunks(versions: RecordVersion[]): Promise<Map<number, { chunks: number; terms: number }>>;
  segments(build: number): Promise<Segment[]>;
  putSegment(build: number, segment: Segment): Promise<void>;
  addBlocks(build: number, segment: number, blocks: SegmentBlock[]): Promise<void>;
  /** Adds vectors, but none for a text that has one already. */
  addVectors(space: number, vectors: NewVector[]): Promise<void>;
  /** The numbers of texts' vectors, by hash. */
  findVectors(space: number, hashes: string[]): Promise<Map<string, number>>;
}

/** A store whose index may have something to do. */
export interface StoreToIndex {
  storeId: string;
  /** JSON, as the store has them. */
  settings: string;
  /** True if a content waits that may be looked at now. */
  due: boolean;
  /** True if a build is being made. */
  building: boolean;
}

/** What is read and noted of an index outside of any transaction over the ledger. */
export interface IndexStorage {
  /** Every store that is not deleted. */
  stores(now: number): Promise<StoreToIndex[]>;
  builds(storeId: string): Promise<Build[]>;
  /** Claims entries that are due, oldest content first: nobody else claims them until a moment. */
  claim(storeId: string, now: number, until: number, limit: number): Promise<QueueEntry[]>;
  /** Leaves entries for later. Entries that were settled meanwhile stay settled. */
  defer(storeId: string, deferrals: Deferral[]): Promise<void>;
  /** Contents by version, canonical JSON; one that is gone is left out. */
  contents(storeId: string, versions: number[]): Promise<Map<number, string>>;
  /** What records behind one are found by, in the order of namespace and id: what a new build must have too. */
  indexedRecords(storeId: string, after: RecordKey | null, limit: number): Promise<RecordVersion[]>;
  /** The chunks that a build has of versions, in their order. */
  chunks(storeId: string, build: number, versions: RecordVersion[]): Promise<Chunk[]>;
  findVectors(storeId: string, space: number, hashes: string[]): Promise<Map<string, number>>;
  /** As {@link IndexTransaction.addVectors}, without the store lock: where there are many, adding takes a while. */
  addVectors(storeId: string, space: number, vectors: NewVector[]): Promise<void>;
  segments(storeId: string, build: number): Promise<Segment[]>;
  /** A segment's blocks behind a term, in order; some of them. */
  blocks(storeId: string, build: number, segment: number, after: string | null): Promise<SegmentBlock[]>;
  /** The numbers of chunks in a range, its end excluded, that records have. */
  liveChunks(storeId: string, build: number, from: number, to: number): Promise<number[]>;
  /**
   * Keeps comparisons with a store's vectors quick, however many they are; what takes long goes on in the background.
   * Cheap where there is nothing to do.
   * @returns what an operator should know of it, in one line; null: nothing
   */
  maintainVectors(storeId: string): Promise<string | null>;
  /** Removes some of what no build needs any more, and makes failed entries due whose content is gone. */
  sweep(now: number): Promise<MaintenanceStep>;
  /** Reads a store's index from one committed snapshot. */
  search<T>(storeId: string, work: (index: IndexSnapshot) => Promise<T>): Promise<T>;
}

/** A chunk that search may show. */
export interface ShownChunk extends Omit<Chunk, "version"> {
  chunk: number;
  /** When the record's content arrived, ms since 1970. */
  writtenAt: number;
  /** Canonical JSON; null unless it was asked for. */
  content: string | null;
}

/** A chunk that may be an answer. */
export interface Candidate {
  chunk: number;
  /** The higher, the better: BM25, or the cosine of its vector and the query's. */
  score: number;
}

/** One committed state of a store's index. */
export interface IndexSnapshot {
  /** The build that serves; undefined: nothing was indexed yet. */
  activeBuild(): Promise<Build | undefined>;
  liveSegments(build: number): Promise<Segment[]>;
  /** Of each segment the block that has a term, if any has it. */
  blocksOf(build: number, segments: number[], terms: string[]): Promise<TermBlock[]>;
  /** Those of the chunks that are of what a live record is found by, in any order. */
  visible(
    build: number,
    chunks: number[],
    namespaces: string[] | null,
    withContent: boolean,
  ): Promise<ShownChunk[]>;
  /** How many chunks some namespaces have, counted up to a limit. */
  countChunks(build: number, namespaces: string[], limit: number): Promise<number>;
  /** The numbers of all chunks of some namespaces. */
  chunksOf(build: number, namespaces: string[]): Promise<number[]>;
  /** Why vectors cannot be compared in this database, in one line for an operator; null: they can. */
  vectorProblem(): Promise<string | null>;
  /**
   * The chunks whose vectors are nearest, best first, perhaps some that are not visible among them; fewer than
   * `limit` if there are no more.
   * @param namespaces only of these; null: of all
   */
  nearest(
    build: Build,
    query: Float32Array,
    namespaces: string[] | null,
    limit: number,
  ): Promise<Candidate[]>;
  /** Contents that the index has not looked at, up to a revision of the store (null: all), counted up to a limit. */
  pending(revision: number | null, limit: number): Promise<number>;
}

export interface TermBlock {
  segment: number;
  term: string;
  data: Uint8Array;
}
