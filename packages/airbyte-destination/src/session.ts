import { operationBytes } from "@tidemark/protocol/operation-batch";
import { recordId, type Stream, streamKey } from "./catalog.ts";
import { type Adaptations, keepable, readExactly } from "./exact-json.ts";
import { DestinationError } from "./failure.ts";
import { type Emit, type InputMessage, type Log, readMessage } from "./messages.ts";
import { valueAt } from "./record-id.ts";
import { States } from "./states.ts";
import type { IncrementalWriter, RefreshWriter, Writer } from "./writers.ts";

/** The session flushes when waiting records and states have more bytes than this. */
const WAITING_BYTES = 32 * 1024 * 1024;
const SOURCE_SYSTEM = "airbyte";
const DELETED_AT = "_ab_cdc_deleted_at";

interface Progress {
  stream: Stream;
  status: string | undefined;
  records: number;
  deletes: number;
  adapted: Adaptations;
}

/** One `write`: batches the records, and emits a state when everything before it is durable. */
export class Session {
  readonly streams: readonly Stream[];
  /** When the oldest waiting record or state arrived, ms since 1970; undefined if none waits. */
  waitingSince: number | undefined;
  #progress: Map<string, Progress>;
  #shared: IncrementalWriter;
  /** The writers of refreshes that are not applied yet, by namespace. */
  #refreshes: Map<string, RefreshWriter>;
  #states: States;
  /** The bytes of the waiting records. */
  #recordBytes = 0;
  /** The size of the states that the last flush could not release. */
  #heldBytes = 0;

  constructor(
    streams: readonly Stream[],
    shared: IncrementalWriter,
    refreshes: Map<string, RefreshWriter>,
    emit: Emit,
  ) {
    this.streams = streams;
    this.#progress = new Map(
      streams.map((stream) => {
        const adapted = { numbers: 0, strings: 0 };
        return [stream.namespace, { stream, status: undefined, records: 0, deletes: 0, adapted }];
      }),
    );
    this.#shared = shared;
    this.#refreshes = refreshes;
    this.#states = new States(emit);
  }

  statusOf = ({ namespace }: Stream): string | undefined => this.#progress.get(namespace)?.status;

  /** Whether the stream has a refresh that is not applied yet. */
  isRefreshed = ({ namespace }: Stream): boolean => this.#refreshes.has(namespace);

  /** Handles one message. @param messageNumber the number of its line, from 1 @throws DestinationError */
  async handle(line: string, messageNumber: number): Promise<void> {
    const { message, unsure } = readLine(line, messageNumber);
    if (message.type === "RECORD") await this.#handleRecord(message.record, unsure, messageNumber);
    else if (message.type === "STATE") {
      const { stream_descriptor } = message.state.stream ?? {};
      const stream = stream_descriptor ? streamKey(stream_descriptor) : "";
      this.#states.add(line, messageNumber, message.state, stream);
      this.#releaseStates();
    } else if (message.type === "TRACE" && message.trace.stream_status) {
      const { stream_descriptor, status } = message.trace.stream_status;
      await this.#handleStatus(stream_descriptor, status);
    }
    // Another flush would not release the states that the last one held back, so they do not count.
    const waiting = this.#recordBytes + this.#states.size - this.#heldBytes;
    if (waiting > WAITING_BYTES) await this.flush();
    else if (waiting === 0) this.waitingSince = undefined;
    else this.waitingSince ??= Date.now();
  }

  async #handleRecord(
    record: { stream: string; namespace?: string | null; data: unknown },
    unsure: boolean,
    messageNumber: number,
  ): Promise<void> {
    const progress = this.#find({ name: record.stream, namespace: record.namespace ?? null });
    const { stream } = progress;
    const { namespace } = stream;
    const { data } = record;
    const stored = unsure ? keepable(data, progress.adapted) : data;
    const id = recordId(stream, { arrived: data, stored });
    const isDelete = stream.key !== undefined && (valueAt(data, [DELETED_AT]) ?? null) !== null;
    const operation = JSON.stringify(
      isDelete
        ? { action: "delete", id, namespace }
        : { action: "upsert", id, namespace, source_system: SOURCE_SYSTEM, data: stored },
    );
    progress.records++;
    if (isDelete) progress.deletes++;
    this.#states.countRecord(namespace);

    const writer: Writer = this.#refreshes.get(namespace) ?? this.#shared;
    const size = operationBytes(operation);
    if (writer.batch.isFullFor(size)) {
      await writer.flush();
      this.#noteSent();
    }
    writer.batch.add(operation, size, messageNumber);
    this.#recordBytes += size;
  }

  async #handleStatus(
    descriptor: { name: string; namespace?: string | null },
    status: string,
  ): Promise<void> {
    const progress = this.#find(descriptor);
    if (status !== "COMPLETE" && status !== "INCOMPLETE") return;
    progress.status = status;
    const { namespace } = progress.stream;
    const refresh = this.#refreshes.get(namespace);
    if (status !== "COMPLETE" || !refresh) return;
    await refresh.complete();
    // The shared writer adds any records that follow.
    this.#refreshes.delete(namespace);
    this.#noteSent();
  }

  #find({ name, namespace }: { name: string; namespace?: string | null }): Progress {
    const progress = this.#progress.get(streamKey({ name, namespace: namespace ?? null }));
    if (progress) return progress;
    const title = namespace ? `${namespace}.${name}` : name;
    throw new DestinationError(
      "system_error",
      `The source sent a message of the stream ${title}, which is not in the catalog.`,
    );
  }

  /** Sends all waiting records. @throws DestinationError */
  async flush(): Promise<void> {
    for (const writer of this.#writers()) {
      await writer.flush();
      this.#noteSent();
    }
    this.#heldBytes = this.#states.size;
    this.waitingSince = undefined;
  }

  #writers(): Writer[] {
    return [this.#shared, ...this.#refreshes.values()];
  }

  #noteSent(): void {
    this.#recordBytes = 0;
    for (const { batch } of this.#writers()) this.#recordBytes += batch.bytes;
    this.#releaseStates();
  }

  #releaseStates(): void {
    let before = Number.POSITIVE_INFINITY;
    for (const { undurableSince } of this.#writers()) before = Math.min(before, undurableSince);
    this.#states.release(before);
    this.#heldBytes = Math.min(this.#heldBytes, this.#states.size);
  }

  /** Logs how many records each stream had, and how many values were adapted. */
  logSummary(log: Log): void {
    for (const { stream, records, deletes, adapted } of this.#progress.values()) {
      const deleted = deletes > 0 ? `, ${deletes} of them deletes` : "";
      log("INFO", `${stream.title}: ${records} records${deleted}.`);
      if (adapted.numbers > 0) {
        log("WARN", `${stream.title}: ${adapted.numbers} numbers that a double cannot hold became strings.`);
      }
      if (adapted.strings > 0) {
        log("WARN", `${stream.title}: invalid characters in ${adapted.strings} strings became U+FFFD.`);
      }
    }
  }
}

/** @throws DestinationError */
function readLine(line: string, number: number): { message: InputMessage; unsure: boolean } {
  try {
    const { value, unsure } = readExactly(line);
    return { message: readMessage(value), unsure };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // The message does not quote the line, which may be a record.
    const message = `Line ${number} of the source's messages is not JSON.`;
    throw new DestinationError("system_error", message, error);
  }
}
