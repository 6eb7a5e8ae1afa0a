import { formatDigest } from "@tidemark/protocol/digest";
import type { Sampled, SyncChanges, SyncRequest, SyncResponse } from "@tidemark/protocol/sync";
import { type Batch, cutBatches, oneAhead } from "./batches.ts";
import { digestedText, hashOf } from "./digest.ts";
import type { SourceRecord, SourceRecords } from "./record.ts";
import type { Progress, Run, SyncAllOptions, SyncAllResult } from "./sync-all.ts";
import type { SyncHead, Tidemark } from "./tidemark.ts";

/** Failed operations that are kept, and ids of each kind of change: as many as an answer of the server has. */
const KEPT_ERRORS = 100;
const KEPT_SAMPLES = 20;

/** Some of the members of a type; those that are undefined are as if they were absent. */
type Loose<T> = { [Name in keyof T]?: T[Name] | undefined };

/** A namespace of a run. */
export interface NamespaceState {
  /** The ids of its records; kept only to find what is missing. */
  ids: Set<string>;
  /** The sum of its records' hashes. */
  sum: bigint;
  /** The server's digest, by the last answer that had one. */
  server?: string;
}

/** What the requests of one run have in common, and what they were answered. */
export class SyncRun {
  readonly tidemark: Tidemark;
  readonly options: SyncAllOptions;
  /** Whether it only plans. */
  readonly dry: boolean;
  readonly namespaces = new Map<string, NamespaceState>();
  readonly samples: Partial<Record<Sampled, string[]>> = {};
  /** All answers together. */
  readonly result: SyncAllResult;
  /** Operations of the refresh's parts as the server counts them: a part that came twice counts once. */
  staged = 0;
  /** What a removal limit would refuse; only a plan goes on after it. */
  refusal: unknown;
  #parts = new Set<string>();
  /** Whether the digests may differ for a reason that the run itself has. */
  #explained: boolean;

  constructor(tidemark: Tidemark, options: SyncAllOptions, run: Run, dry: boolean) {
    this.tidemark = tidemark;
    this.options = options;
    this.dry = dry;
    this.result = {
      run,
      operations: 0,
      requests: 0,
      changes: {
        created: 0,
        updated: 0,
        unchanged: 0,
        removed: 0,
        absent: 0,
        stale: 0,
        superseded: 0,
        cleared: 0,
      },
      failed: 0,
      errors: [],
      warnings: [],
      digests: {},
      level: undefined,
    };
    const { namespace, namespaces = [], mode, deleteMissing } = options;
    for (const name of [namespace ?? [], namespaces].flat()) this.#state(name);
    this.#explained = mode === "incremental" && !deleteMissing;
  }

  #state(name: string): NamespaceState {
    const state = this.namespaces.get(name) ?? { ids: new Set(), sum: 0n };
    this.namespaces.set(name, state);
    return state;
  }

  /** The records' batches, the next one being made while one is sent. */
  batches(records: SourceRecords): AsyncGenerator<Batch, void> {
    const { namespace, deleteMissing } = this.options;
    const note = async (record: SourceRecord, name: string) => {
      const state = this.#state(name);
      if (record.action === "delete") return;
      if (deleteMissing) {
        this.#explained ||= state.ids.has(record.id);
        state.ids.add(record.id);
      }
      const hash = await hashOf(digestedText(record));
      state.sum += hash;
    };
    return oneAhead(cutBatches(records, namespace, this.options, note));
  }

  /** Sends one request of the run and adds its answer up. */
  async send(phase: Progress["phase"], batch: Batch, more: Loose<SyncRequest> = {}): Promise<void> {
    const { tidemark, options, result } = this;
    const { mode, onError } = options;
    const { sync_timestamp, refresh_id } = result.run;
    const fields = {
      sync_mode: mode,
      sync_timestamp,
      refresh_id: mode === "full_refresh" ? refresh_id : undefined,
      on_error: onError,
      dry_run: this.dry && more.last_batch !== false,
      ...more,
    };
    const hash = (await hashOf(JSON.stringify([refresh_id, fields]) + batch)).toString(36);
    // The same for the same request of the same run, after a crash too: it is then answered again and not applied again.
    const idempotencyKey = `${result.requests}-${hash}`;
    const sent = { ...options, idempotencyKey, written: batch };
    const answer = await tidemark.sync(fields as SyncHead, sent);
    if (answer.status === "staged") {
      if (this.#parts.has(hash)) this.#explained = true;
      else this.staged += batch.length;
      this.#parts.add(hash);
    }
    this.#add(answer);
    result.operations += batch.length;
    result.requests++;
    this.progress(phase);
  }

  #add(answer: SyncResponse): void {
    const { changes, errors = [], total_errors = 0, warnings = [], digests = {}, samples } = answer;
    const { result } = this;
    for (const name of Object.keys(changes) as (keyof SyncChanges)[]) result.changes[name] += changes[name];
    result.failed += total_errors;
    for (const error of errors.slice(0, KEPT_ERRORS - result.errors.length)) {
      result.errors.push({ ...error, index: error.index + result.operations });
    }
    result.warnings.push(...warnings);
    for (const [name, digest] of Object.entries(digests)) this.#state(name).server = digest;
    for (const [kind, ids] of Object.entries(samples ?? {}) as [Sampled, string[]][]) {
      this.samples[kind] = [...(this.samples[kind] ?? []), ...ids].slice(0, KEPT_SAMPLES);
    }
  }

  progress(phase: Progress["phase"]): void {
    const { run, operations, requests } = this.result;
    this.options.onProgress?.({ phase, run, operations, requests });
  }

  /** Compares the digests; the result is then whole. */
  compare(): SyncAllResult {
    const { result, namespaces } = this;
    const { stale, superseded } = result.changes;
    const pairs = [...namespaces].map(
      ([name, { sum, server }]) => [name, { source: formatDigest(sum), server }] as const,
    );
    result.digests = Object.fromEntries(pairs);
    const level = pairs.every(([, { source, server }]) => source === server);
    const explained = this.#explained || result.failed + stale + superseded > 0;
    result.level = level || (explained ? undefined : false);
    return result;
  }
}
