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

/** Times that a request is sent while the server is away: some three minutes. */
const ATTEMPTS = 12;

/**
 * Writes what a source sends: the protocol's `write`.
 * @param input messages, one JSON text a line
 * @throws DestinationError; what was acknowledged by then is kept, and its states were emitted
 */
export async function write(
  givenConfig: unknown,
  catalog: unknown,
  input: AsyncIterable<Uint8Array>,
  emit: Emit,
): Promise<void> {
  const log = logTo(emit);
  const config = readConfig(givenConfig);
  const streams = readCatalog(catalog);
  const tidemark = connect(config, ATTEMPTS, log);
  const timestamp = await timestampOfRun(tidemark);
  const runs = await findRuns(tidemark, streams, timestamp);

  const newBatch = () => new Batch({ ...BATCH_LIMITS, operations: config.batchRecords });
  const changes = new Changes();
  const shared = new IncrementalWriter(tidemark, newBatch(), timestamp, changes.note);
  const refreshes = new Map(
    [...runs].map(([stream, run]) => {
      const limit = config.removalLimit === false ? undefined : config.removalLimit;
      return [stream.namespace, new RefreshWriter(tidemark, newBatch(), stream, run, limit, changes.note)];
    }),
  );
  for (const stream of streams) log("INFO", describe(stream, runs.get(stream)?.operations));

  const session = new Session(streams, shared, refreshes, emit);
  await consume(input, session, config.flushIntervalMs);
  await session.flush();
  session.logSummary(log);
  changes.logSummary(log);
  refuseUnfinished(session, log);
}

/** Hands lines on, and what waits too long to the server. */
async function consume(
  input: AsyncIterable<Uint8Array>,
  session: Session,
  flushIntervalMs: number,
): Promise<void> {
  const lines = readLines(input);
  let next = lines.next();
  // It may fail while a flush is under way; it is awaited after that.
  next.catch(() => {});
  for (;;) {
    const read = await withinTime(next, session.waitingSince, flushIntervalMs);
    if (read === undefined) {
      await session.flush();
      continue;
    }
    if (read.done) return;
    for (const line of read.value) await take(session, line);
    next = lines.next();
    next.catch(() => {});
  }
}

/** @throws DestinationError */
async function take(session: Session, line: Line): Promise<void> {
  let text: string | undefined;
  try {
    text = lineText(line);
  } catch (error) {
    const { fault } = error as LineError;
    throw new DestinationError(
      "system_error",
      `Line ${line.number} of the source's messages ${fault}.`,
      error,
    );
  }
  if (text !== undefined) await session.take(text, line.number);
}

/** What a promise brings, or undefined if something has waited for longer than the interval before that. */
async function withinTime<T>(
  promise: Promise<T>,
  waitingSince: number | undefined,
  intervalMs: number,
): Promise<T | undefined> {
  if (waitingSince === undefined) return promise;
  const leftMs = waitingSince + intervalMs - Date.now();
  if (leftMs <= 0) return undefined;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), leftMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The `sync_timestamp` of all that a process writes: by the server's clock, and not before that of the connector's last
 * sync, should the clock have been set back.
 * @throws DestinationError if the key, the organization and the store do not fit
 */
async function timestampOfRun(tidemark: Tidemark): Promise<string> {
  const { timestamp } = await tidemark.validate();
  const { data } = await tidemark.listSyncs({ limit: 1 });
  const earlier = data[0]?.sync_timestamp;
  const ns = (text: string) => parseDateTime(text)!.ns;
  return earlier !== undefined && ns(earlier) > ns(timestamp) ? earlier : timestamp;
}

function describe({ title, namespace }: Stream, staged: number | undefined): string {
  const kept = `The stream ${title} is kept in the namespace ${namespace}`;
  if (staged === undefined) return `${kept} and added to.`;
  const resumed = staged > 0 ? `; going on with a refresh of which ${staged} operations are there` : "";
  return `${kept} and replaced when it is complete${resumed}.`;
}

/** What became of the records. */
class Changes {
  #counts: Record<string, number> = {};

  note = ({ changes }: SyncResponse): void => {
    for (const [name, count] of Object.entries(changes)) {
      this.#counts[name] = (this.#counts[name] ?? 0) + count;
    }
  };

  logSummary(log: Log): void {
    const counted = Object.entries(this.#counts).filter(([, count]) => count > 0);
    log(
      "INFO",
      `In the store: ${counted.map(([name, count]) => `${count} ${name}`).join(", ") || "no change"}.`,
    );
    if (!this.#counts.stale) return;
    log(
      "WARN",
      `${this.#counts.stale} records were left as they are, because something else has written them with a newer time. ` +
        "Does another pipeline write the same namespaces?",
    );
  }
}

/** @throws DestinationError transient_error if a stream did not come to its end */
function refuseUnfinished({ streams, statusOf, isRefreshed }: Session, log: Log): void {
  const unfinished: StreamDescriptor[] = [];
  const titles: string[] = [];
  for (const stream of streams) {
    const status = statusOf(stream);
    if (status === "COMPLETE") continue;
    if (status === "INCOMPLETE" || isRefreshed(stream)) {
      unfinished.push(stream.descriptor);
      titles.push(stream.title);
    } else
      log("WARN", `The source did not say how the stream ${stream.title} ended. What came of it is kept.`);
  }
  if (unfinished.length === 0) return;
  throw new DestinationError(
    "transient_error",
    `The source did not come to the end of ${titles.join(", ")}. What is incomplete was not replaced; what was delivered counts when the ` +
      "sync is tried again.",
    undefined,
    unfinished[0],
  );
}
