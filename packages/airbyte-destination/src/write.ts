import type { SyncResponse, Tidemark } from "@tidemark/client";
import { type Line, type LineError, lineText, readLines } from "@tidemark/protocol/lines";
import { BATCH_LIMITS } from "@tidemark/protocol/operation-batch";
import { parseDateTime } from "@tidemark/protocol/timestamps";
import { Batch } from "./batch.ts";
import { readCatalog, type Stream } from "./catalog.ts";
import { readConfig } from "./config.ts";
import { connect } from "./connection.ts";
import { DestinationError, type StreamDescriptor } from "./failure.ts";
import { type Emit, type Log, logTo } from "./messages.ts";
import { findRuns } from "./refresh-run.ts";
import { Session } from "./session.ts";
import { IncrementalWriter, RefreshWriter } from "./writers.ts";

/** With the client's backoff, a sync waits about three minutes for a server that is unavailable. */
const ATTEMPTS = 12;

/**
 * Writes a source's messages to the store: the protocol's `write`.
 * @param input one message in JSON on each line
 * @throws DestinationError, TidemarkError; everything before the emitted states stays durable
 */
export async function write(
  configJson: unknown,
  catalog: unknown,
  input: AsyncIterable<Uint8Array>,
  emit: Emit,
): Promise<void> {
  const log = logTo(emit);
  const config = readConfig(configJson);
  const streams = readCatalog(catalog);
  const tidemark = connect(config, ATTEMPTS, log);
  const timestamp = await timestampOfRun(tidemark);
  const runs = await findRuns(tidemark, streams, timestamp);

  const newBatch = () => new Batch({ ...BATCH_LIMITS, operations: config.batchRecords });
  const changes = new Changes();
  const shared = new IncrementalWriter(tidemark, newBatch(), timestamp, changes.add);
  const refreshes = new Map(
    [...runs].map(([stream, run]) => {
      const limit = config.removalLimit === false ? undefined : config.removalLimit;
      return [stream.namespace, new RefreshWriter(tidemark, newBatch(), stream, run, limit, changes.add)];
    }),
  );
  for (const stream of streams) log("INFO", describe(stream, runs.get(stream)?.operations));

  const session = new Session(streams, shared, refreshes, emit);
  await consume(input, session, config.flushIntervalMs);
  await session.flush();
  session.logSummary(log);
  changes.logSummary(log);
  rejectUnfinished(session, log);
}

/** Hands the input's lines to the session, and flushes it when something has waited for the interval. */
async function consume(
  input: AsyncIterable<Uint8Array>,
  session: Session,
  flushIntervalMs: number,
): Promise<void> {
  const lines = readLines(input);
  let next = lines.next();
  // The promise may reject during a flush, before it is awaited.
  next.catch(() => {});
  for (;;) {
    const read = await withinTime(next, session.waitingSince, flushIntervalMs);
    if (read === undefined) {
      await session.flush();
      continue;
    }
    if (read.done) return;
    for (const line of read.value) await handle(session, line);
    next = lines.next();
    next.catch(() => {});
  }
}

/** @throws DestinationError */
async function handle(session: Session, line: Line): Promise<void> {
  let text: string | undefined;
  try {
    text = lineText(line);
  } catch (error) {
    const { fault } = error as LineError;
    const message = `Line ${line.number} of the source's messages ${fault}.`;
    throw new DestinationError("system_error", message, error);
  }
  if (text !== undefined) await session.handle(text, line.number);
}

/** The promise's value, or undefined if the interval since `waitingSince` ends first. */
async function withinTime<T>(
  promise: Promise<T>,
  waitingSince: number | undefined,
  intervalMs: number,
): Promise<T | undefined> {
  if (waitingSince === undefined) return promise;
  const leftMs = waitingSince + intervalMs - Date.now();
  if (leftMs <= 0) return undefined;
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), leftMs);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The `sync_timestamp` of everything that a process writes: the server's time, or the timestamp of the connector's last
 * sync if the server's clock was set back.
 * @throws TidemarkError if the key does not belong to the organization and the store
 */
async function timestampOfRun(tidemark: Tidemark): Promise<string> {
  const { timestamp } = await tidemark.validate();
  const { data } = await tidemark.listSyncs({ limit: 1 });
  const earlier = data[0]?.sync_timestamp;
  const ns = (text: string) => parseDateTime(text)!.ns;
  return earlier !== undefined && ns(earlier) > ns(timestamp) ? earlier : timestamp;
}

function describe({ title, namespace }: Stream, staged: number | undefined): string {
  if (staged === undefined) return `Adding the stream ${title} to the namespace ${namespace}.`;
  const resumed = staged > 0 ? ` It continues a refresh with ${staged} staged operations.` : "";
  return `The stream ${title} replaces the namespace ${namespace} when the stream is complete.${resumed}`;
}

/** Adds up the changes of all requests. */
class Changes {
  #counts: Record<string, number> = {};

  add = ({ changes }: SyncResponse): void => {
    for (const [name, count] of Object.entries(changes)) {
      this.#counts[name] = (this.#counts[name] ?? 0) + count;
    }
  };

  logSummary(log: Log): void {
    const counted = Object.entries(this.#counts).filter(([, count]) => count > 0);
    log(
      "INFO",
      `Changes in the store: ${counted.map(([name, count]) => `${count} ${name}`).join(", ") || "none"}.`,
    );
    if (!this.#counts.stale) return;
    log(
      "WARN",
      `${this.#counts.stale} operations were stale: a newer sync had already written their records. ` +
        "Check whether another pipeline writes to the same namespaces.",
    );
  }
}

/** @throws DestinationError transient_error if a stream is incomplete */
function rejectUnfinished({ streams, statusOf, isRefreshed }: Session, log: Log): void {
  const unfinished: StreamDescriptor[] = [];
  const titles: string[] = [];
  for (const stream of streams) {
    const status = statusOf(stream);
    if (status === "COMPLETE") continue;
    if (status === "INCOMPLETE" || isRefreshed(stream)) {
      unfinished.push(stream.descriptor);
      titles.push(stream.title);
    } else {
      log(
        "WARN",
        `The source sent no final status for the stream ${stream.title}. Its records were written.`,
      );
    }
  }
  if (unfinished.length === 0) return;
  throw new DestinationError(
    "transient_error",
    `The source did not complete ${titles.join(", ")}. Incomplete refreshes were not applied; ` +
      "the next attempt continues after the records that were delivered.",
    undefined,
    unfinished[0],
  );
}
