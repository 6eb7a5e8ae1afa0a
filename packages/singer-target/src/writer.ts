import { type SyncFields, type SyncResponse, type Tidemark, TidemarkError } from "@tidemark/client";
import {
  type BatchLimits,
  isFullFor,
  type OperationBatch,
  operationBytes,
} from "@tidemark/protocol/operation-batch";
import { operationField } from "@tidemark/protocol/operation-field";
import type { RunClock } from "./clock.ts";
import { asTargetError, type Place, TargetError } from "./failure.ts";

export interface WriterOptions {
  tidemark: Tidemark;
  clock: RunClock;
  batch: BatchLimits;
  /** The longest time that an operation or a STATE waits before its batch is sent, in ms. */
  waitMs: number;
  /** Emits a STATE, which may take a while. */
  emit(state: string): Promise<void>;
  warn(message: string): void;
}

/** A batch: operations that are sent together. */
interface Batch extends OperationBatch {
  /** The place in the input of each operation. */
  places: Place[];
  /** STATEs that followed some of the operations; they go out once these operations are on disk. */
  states: string[];
}

const emptyBatch = (): Batch => ({ operations: [], places: [], bytes: 0, states: [] });

/**
 * Sends operations in batches, one after another, and emits each STATE when everything before it is on disk. It
 * collects one batch while it sends another, and holds no more in memory.
 */
export class Writer {
  /** Rejects with the first failure, even of a batch that no caller waits for. */
  readonly failed: Promise<never>;
  readonly counts = { upserted: 0, deleted: 0, stale: 0, requests: 0 };
  #options: WriterOptions;
  #batch = emptyBatch();
  #sending: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #fail!: (error: unknown) => void;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {});
  }

  /** Adds an operation as JSON. If the batch is full, it waits until the previous one is sent. @throws TargetError */
  async add(operation: string, place: Place): Promise<void> {
    const bytes = operationBytes(operation);
    if (this.#isFullFor(bytes)) await this.#handOver();
    this.#batch.operations.push(operation);
    this.#batch.places.push(place);
    this.#batch.bytes += bytes;
    // A full batch is sent immediately, without waiting for the next operation.
    if (this.#isFullFor(1)) await this.#handOver();
    else this.#startTimer();
  }

  /** Adds a STATE, which goes out after all operations that were added before it. @throws TargetError */
  async addState(state: string): Promise<void> {
    this.#batch.states.push(state);
    this.#batch.bytes += operationBytes(state);
    if (this.#batch.operations.length === 0 || this.#isFullFor(1)) await this.#handOver();
    else this.#startTimer();
  }

  /** Sends the batch and waits until it is on disk and its STATEs are printed. @throws TargetError */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#batch;
    this.#batch = emptyBatch();
    this.#sending = this.#sending.then(() => this.#send(batch));
    // Callers that wait for the batch get the error too.
    this.#sending.catch((error) => this.#fail(error));
    return this.#sending;
  }

  /** Sends the batch as soon as the previous one is on disk. */
  async #handOver(): Promise<void> {
    const before = this.#sending;
    const sent = this.flush();
    // An error of this batch appears in `failed` and in the next call.
    sent.catch(() => {});
    await before;
  }

  #isFullFor(bytes: number): boolean {
    return isFullFor(this.#batch, this.#options.batch, bytes);
  }

  #startTimer(): void {
    this.#timer ??= setTimeout(() => {
      // Wait for the batch under way; otherwise batches would pile up behind a slow server.
      this.#sending.then(() => this.flush()).catch(() => {});
    }, this.#options.waitMs);
  }

  async #send({ operations, places, states }: Batch): Promise<void> {
    const { tidemark, clock, emit, warn } = this.#options;
    if (operations.length > 0) {
      const fields: Omit<SyncFields, "operations"> = {
        sync_mode: "incremental",
        sync_timestamp: clock.now(),
      };
      let answer: SyncResponse;
      try {
        answer = await tidemark.sync(fields, { written: operations });
      } catch (error) {
        throw located(error, places);
      }
      const { results, changes } = answer;
      this.counts.upserted += results.upserted;
      this.counts.deleted += results.deleted;
      this.counts.requests++;
      if (changes.stale > 0 && this.counts.stale === 0) {
        warn(
          "Some records were stale and had no effect, because a newer sync decided them. " +
            "Check whether another pipeline writes to the same namespaces.",
        );
      }
      this.counts.stale += changes.stale;
    }
    for (const state of states) await emit(state);
  }
}

/** Returns the error of a batch, with the place of its record if that is known. */
function located(error: unknown, places: Place[]): TargetError {
  if (!(error instanceof TidemarkError)) return asTargetError(error);
  if (!error.is("VALIDATION_ERROR")) {
    const isOneRecord = error.is("PAYLOAD_TOO_LARGE") && places.length === 1;
    return asTargetError(error, isOneRecord ? places[0] : {});
  }
  const [first] = error.details.errors;
  const named = operationField(first?.field ?? "");
  if (!first || !named) return asTargetError(error);
  const place = { ...places[named.index], field: named.field.replace(/^data\./, "") || undefined };
  return new TargetError(`${error.code}: ${first.message}`, place, asTargetError(error).exitCode, error);
}
