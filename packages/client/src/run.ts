import { formatDigest, hashOf } from "@tidemark/protocol/digest";
import type { Sampled, SyncChanges, SyncRequest, SyncResponse } from "@tidemark/protocol/sync";
import { type Batch, oneAhead, toBatches } from "./batches.ts";
import { hashOfRecord } from "./digest.ts";
import type { TidemarkError } from "./errors.ts";
import type { SourceRecord, SourceRecords } from "./record.ts";
import type { StoreCalls, SyncHead } from "./store-calls.ts";
import type { Progress, Run, SyncAllOptions, SyncAllResult } from "./sync-all-options.ts";

/** How many failed operations, and ids of each kind of change, a result has: as many as one of the server's answers. */
const KEPT_ERRORS = 100;
const KEPT_SAMPLES = 20;

/** A type whose members may be absent or undefined. */
type Loose<T> = { [Name in keyof T]?: T[Name] | undefined };

/** A namespace of a run. */
export interface NamespaceState {
  /** The ids of its records, collected only for `deleteMissing`. */
  ids: Set<string>;
  /** The sum of its records' hashes. */
  sum: bigint;
  /** The server's digest in the last answer that had one. */
  server?: string;
}

/** The state of a run: what its requests share, and their answers. */
export interface SyncRun {
  readonly tidemark: StoreCalls;
  readonly options: SyncAllOptions;
  /** Whether the run only plans. */
  readonly dry: boolean;
  readonly namespaces: Map<string, NamespaceState>;
  readonly samples: Partial<Record<Sampled, string[]>>;
  /** The sum of all answers. */
  readonly result: Omit<SyncAllResult, "digests" | "inSync">;
  /** The hashes of the refresh's staged parts. */
  readonly parts: Set<string>;
  /** Operations of the staged parts as the server counts them: a part that was sent twice counts once. */
  staged: number;
  /** The removal limit's rejection; only a plan continues after it. */
  refusal?: TidemarkError<"REMOVAL_LIMIT_EXCEEDED"> | undefined;
  /** Whether the run itself explains different digests. */
  explained: boolean;
}

/** Makes a run that has sent nothing. */
export function startRun(
  tidemark: StoreCalls,
  options: SyncAllOptions,
  identity: Run,
  dry: boolean,
): SyncRun {
  const { namespace, namespaces = [] } = options;
  const run: SyncRun = {
    tidemark,
    options,
    dry,
    namespaces: new Map(),
    samples: {},
    result: {
      run: identity,
      sync_id: null,
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
    },
    parts: new Set(),
    staged: 0,
    explained: false,
  };
  for (const name of [namespace ?? [], namespaces].flat()) stateOf(run, name);
  return run;
}

function stateOf({ namespaces }: SyncRun, name: string): NamespaceState {
  const state = namespaces.get(name) ?? { ids: new Set(), sum: 0n };
  namespaces.set(name, state);
  return state;
}

/** Yields the records' batches, and makes the next while the caller sends one. */
export function batchesOf(run: SyncRun, records: SourceRecords): AsyncGenerator<Batch, void> {
  const { namespace, deleteMissing } = run.options;
  const note = (record: SourceRecord, name: string) => {
    const state = stateOf(run, name);
    if (record.action === "delete") return;
    if (deleteMissing) {
      run.explained ||= state.ids.has(record.id);
      state.ids.add(record.id);
    }
    return hashOfRecord(record).then((hash) => {
      state.sum += hash;
    });
  };
  return oneAhead(toBatches(records, namespace, run.options, note));
}

/** Sends one request of a run and adds its answer to the result. */
export async function sendBatch(
  run: SyncRun,
  phase: Progress["phase"],
  batch: Batch,
  more: Loose<SyncRequest> = {},
): Promise<void> {
  const { options, result, parts } = run;
  const { sync_timestamp, refresh_id } = result.run;
  const fields = {
    sync_mode: options.mode,
    sync_timestamp,
    refresh_id: options.mode === "full_refresh" ? refresh_id : undefined,
    on_error: options.onError,
    dry_run: run.dry && more.last_batch !== false,
    ...more,
  };
  const hash = (await hashOf(JSON.stringify([refresh_id, fields]) + batch)).toString(36);
  // A repeated request of the run, even after a crash, has the same key, so the server does not apply it twice.
  const idempotencyKey = `${result.requests}-${hash}`;
  const call = { ...options, idempotencyKey, written: batch };
  const answer = await run.tidemark.sync(fields as SyncHead, call);
  if (answer.status === "staged") {
    if (parts.has(hash)) run.explained = true;
    else run.staged += batch.length;
    parts.add(hash);
  }
  addAnswer(run, answer);
  result.operations += batch.length;
  result.requests++;
  tellProgress(run, phase);
}

function addAnswer(run: SyncRun, answer: SyncResponse): void {
  const { changes, errors = [], total_errors = 0, warnings = [], digests = {}, samples = {} } = answer;
  const { result } = run;
  result.sync_id = answer.sync_id;
  for (const name of Object.keys(changes) as (keyof SyncChanges)[]) result.changes[name] += changes[name];
  result.failed += total_errors;
  for (const error of errors.slice(0, KEPT_ERRORS - result.errors.length)) {
    result.errors.push({ ...error, index: error.index + result.operations });
  }
  result.warnings.push(...warnings);
  for (const [name, digest] of Object.entries(digests)) stateOf(run, name).server = digest;
  for (const [kind, ids] of Object.entries(samples) as [Sampled, string[]][]) {
    run.samples[kind] = [...(run.samples[kind] ?? []), ...ids].slice(0, KEPT_SAMPLES);
  }
}

export function tellProgress({ result, options }: SyncRun, phase: Progress["phase"]): void {
  options.onProgress?.({
    phase,
    run: result.run,
    operations: result.operations,
    requests: result.requests,
  });
}

/** The run's result, with the comparison of the digests. */
export function compareDigests({ result, namespaces, explained }: SyncRun): SyncAllResult {
  const { stale, superseded } = result.changes;
  const digests = Object.fromEntries(
    [...namespaces].map(([name, { sum, server }]) => [name, { source: formatDigest(sum), server }]),
  );
  const areEqual = Object.values(digests).every(({ source, server }) => source === server);
  const mayDiffer = explained || result.failed + stale + superseded > 0;
  return { ...result, digests, inSync: areEqual || (mayDiffer ? undefined : false) };
}
