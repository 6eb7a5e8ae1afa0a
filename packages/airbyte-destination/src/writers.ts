import type { SyncFields, SyncResponse, Tidemark } from "@tidemark/client";
import type { Batch } from "./batch.ts";
import type { Stream } from "./catalog.ts";
import { explain } from "./explain.ts";
import { DestinationError } from "./failure.ts";
import type { RefreshRun } from "./refresh-run.ts";

/** Batches and sends the operations of streams. */
export interface Writer {
  batch: Batch;
  /** The number of the first message whose operation is not durable yet; Infinity if all are durable. */
  readonly undurableSince: number;
  /** Sends the batch. @throws DestinationError */
  flush(): Promise<void>;
}

/** Receives the answer to each request. */
export type OnAnswer = (answer: SyncResponse) => void;

/** Writes all streams that the sync does not replace, so that small streams share requests. */
export class IncrementalWriter implements Writer {
  readonly batch: Batch;
  #tidemark: Tidemark;
  #timestamp: string;
  #onAnswer: OnAnswer;

  constructor(tidemark: Tidemark, batch: Batch, timestamp: string, onAnswer: OnAnswer) {
    this.#tidemark = tidemark;
    this.batch = batch;
    this.#timestamp = timestamp;
    this.#onAnswer = onAnswer;
  }

  get undurableSince(): number {
    return this.batch.since;
  }

  async flush(): Promise<void> {
    if (this.batch.operations.length === 0) return;
    const fields = { sync_mode: "incremental", sync_timestamp: this.#timestamp } as const;
    this.#onAnswer(await send(this.#tidemark, fields, this.batch.operations));
    this.batch.clear();
  }
}

/** Replaces one stream: readers see none of the staged parts before {@link complete} applies them. */
export class RefreshWriter implements Writer {
  readonly batch: Batch;
  readonly stream: Stream;
  #tidemark: Tidemark;
  #run: RefreshRun;
  #removalLimit: number | string | undefined;
  #onAnswer: OnAnswer;
  /** The first message that becomes durable only when the refresh is applied. */
  #stagedSince = Number.POSITIVE_INFINITY;

  constructor(
    tidemark: Tidemark,
    batch: Batch,
    stream: Stream,
    run: RefreshRun,
    removalLimit: number | string | undefined,
    onAnswer: OnAnswer,
  ) {
    this.#tidemark = tidemark;
    this.batch = batch;
    this.stream = stream;
    this.#run = run;
    this.#removalLimit = removalLimit;
    this.#onAnswer = onAnswer;
  }

  get undurableSince(): number {
    return Math.min(this.batch.since, this.#stagedSince);
  }

  async flush(): Promise<void> {
    const { batch, stream } = this;
    if (batch.operations.length === 0) return;
    const answer = await this.#send({ last_batch: false }, batch.operations);
    const { operations = 0, batches = 0 } = answer.refresh ?? {};
    // The server counts a repeated part once. Any lower count means that it lost parts and began a new run.
    const run = this.#run;
    const isRepeated = operations === run.operations && batches === run.batches;
    if (operations < run.operations + batch.operations.length && !isRepeated) throw partsLost(stream);
    Object.assign(run, { operations, batches });
    // No later process can find a run without a generation.
    if (stream.generation === undefined) this.#stagedSince = this.undurableSince;
    batch.clear();
  }

  /** Replaces the stream with the records sent, in one request if they fit. */
  async complete(): Promise<void> {
    // The last batch is empty after parts, because the server would count one that equals a part only once.
    if (this.#run.operations > 0) await this.flush();
    const { batch, stream } = this;
    const fields = {
      namespaces: [stream.namespace],
      expected_operations: this.#run.operations + batch.operations.length,
      ...(this.#removalLimit !== undefined && { removal_limit: this.#removalLimit }),
    };
    this.#onAnswer(await this.#send(fields, batch.operations));
    batch.clear();
    this.#stagedSince = Number.POSITIVE_INFINITY;
  }

  #send(fields: Partial<SyncFields>, operations: string[]): Promise<SyncResponse> {
    const { sync_timestamp, refresh_id } = this.#run;
    return send(
      this.#tidemark,
      { sync_mode: "full_refresh", sync_timestamp, refresh_id, ...fields },
      operations,
      this.stream,
    );
  }
}

/** Sends one sync; its failure names the rejected record. */
async function send(
  tidemark: Tidemark,
  fields: Omit<SyncFields, "operations">,
  operations: string[],
  stream?: Stream,
): Promise<SyncResponse> {
  try {
    return await tidemark.sync(fields, { written: operations });
  } catch (error) {
    const { failureType, message } = explain(error, operations);
    throw new DestinationError(failureType, message, error, stream?.descriptor);
  }
}

function partsLost({ title, descriptor }: Stream): DestinationError {
  const message =
    `The server no longer has all parts of the refresh of ${title}, so it was not applied. ` +
    "Refresh the stream again.";
  return new DestinationError("system_error", message, undefined, descriptor);
}
