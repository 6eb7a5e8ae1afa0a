import type { SyncFields, SyncResponse, Tidemark } from "@tidemark/client";
import type { Batch } from "./batch.ts";
import type { Stream } from "./catalog.ts";
import { explain } from "./explain.ts";
import { DestinationError } from "./failure.ts";
import type { RefreshRun } from "./refresh-run.ts";

/** Where the operations of a stream go. */
export interface Writer {
  batch: Batch;
  /** The number of the first message whose operation is not durable yet; Infinity if all are. */
  readonly undurableSince: number;
  /** Sends what waits; it is durable then. @throws DestinationError */
  flush(): Promise<void>;
}

/** Told of the answer to each request. */
export type Note = (answer: SyncResponse) => void;

/** Adds to streams: one for all streams that are not replaced, so that many small ones share requests. */
export class IncrementalWriter implements Writer {
  readonly batch: Batch;
  #tidemark: Tidemark;
  #timestamp: string;
  #note: Note;

  constructor(tidemark: Tidemark, batch: Batch, timestamp: string, note: Note) {
    this.#tidemark = tidemark;
    this.batch = batch;
    this.#timestamp = timestamp;
    this.#note = note;
  }

  get undurableSince(): number {
    return this.batch.since;
  }

  async flush(): Promise<void> {
    if (this.batch.operations.length === 0) return;
    const fields = { sync_mode: "incremental", sync_timestamp: this.#timestamp } as const;
    this.#note(await send(this.#tidemark, fields, this.batch.operations));
    this.batch.clear();
  }
}

/** Replaces a stream: parts are staged, unseen, until {@link complete} applies all of them in one instant. */
export class RefreshWriter implements Writer {
  readonly batch: Batch;
  readonly stream: Stream;
  #tidemark: Tidemark;
  #run: RefreshRun;
  #removalLimit: number | string | undefined;
  #note: Note;
  /** The first message that only applying makes durable. */
  #stagedSince = Number.POSITIVE_INFINITY;

  constructor(
    tidemark: Tidemark,
    batch: Batch,
    stream: Stream,
    run: RefreshRun,
    removalLimit: number | string | undefined,
    note: Note,
  ) {
    this.#tidemark = tidemark;
    this.batch = batch;
    this.stream = stream;
    this.#run = run;
    this.#removalLimit = removalLimit;
    this.#note = note;
  }

  get undurableSince(): number {
    return Math.min(this.batch.since, this.#stagedSince);
  }

  async flush(): Promise<void> {
    const { batch, stream } = this;
    if (batch.operations.length === 0) return;
    const answer = await this.#send({ last_batch: false }, batch.operations);
    const { operations = 0, batches = 0 } = answer.refresh ?? {};
    // A part that the server has already counts once. Less than that means that it has begun the run anew.
    const run = this.#run;
    const isRepeated = operations === run.operations && batches === run.batches;
    if (operations < run.operations + batch.operations.length && !isRepeated) throw forgotten(stream);
    Object.assign(run, { operations, batches });
    // No later process finds a run without a generation.
    if (stream.generation === undefined) this.#stagedSince = this.undurableSince;
    batch.clear();
  }

  /** Makes what was sent the stream's content, in one request if it fits. */
  async complete(): Promise<void> {
    // Parts first, so that a last batch that equals one of them is not taken for it.
    if (this.#run.operations > 0) await this.flush();
    const { batch, stream } = this;
    const fields = {
      namespaces: [stream.namespace],
      expected_operations: this.#run.operations + batch.operations.length,
      ...(this.#removalLimit !== undefined && { removal_limit: this.#removalLimit }),
    };
    this.#note(await this.#send(fields, batch.operations));
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

/** One request, whose failure names the record that it was about. */
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

function forgotten({ title, descriptor }: Stream): DestinationError {
  const message = `The server has forgotten earlier parts of the refresh of ${title}, so it is not applied. Refresh the stream again.`;
  return new DestinationError("system_error", message, undefined, descriptor);
}
