import { createHash, randomUUID } from "node:crypto";
import { everyItem, type Tidemark } from "@tidemark/client";
import type { Stream } from "./catalog.ts";
import { configError } from "./failure.ts";

/** A refresh run of a stream on the server. */
export interface RefreshRun {
  sync_timestamp: string;
  refresh_id: string;
  /** How many operations and parts the server has. */
  operations: number;
  batches: number;
}

/** How many syncs of the history the destination reads at most to find a stream's last refresh. */
const HISTORY_SYNCS_MAX = 5000;

/**
 * Finds the refresh run of each stream that the sync replaces.
 *
 * A run's `refresh_id` names its stream and generation, so that a later attempt of the same generation finds it:
 *
 * | what the server has of the generation | what the sync does with the stream |
 * | --- | --- |
 * | nothing | begins a run |
 * | an open run | continues the run; the parts of earlier attempts count |
 * | an applied run | applies the rest of the generation incrementally |
 * | parts of a run that is no longer open | fails, because Airbyte counts the lost parts as delivered |
 *
 * The sync also fails if it would add to a stream whose last refresh is unfinished, for the same reason.
 *
 * @param timestamp of new runs
 * @returns the runs by stream; the sync adds to the streams that have none
 * @throws DestinationError config_error
 */
export async function findRuns(
  tidemark: Tidemark,
  streams: readonly Stream[],
  timestamp: string,
): Promise<Map<Stream, RefreshRun>> {
  const runs = new Map<Stream, RefreshRun>();
  const undecided = new Map<string, Stream>();
  for (const stream of streams) {
    const newRun = { sync_timestamp: timestamp, refresh_id: refreshId(stream), operations: 0, batches: 0 };
    if (stream.refresh) runs.set(stream, newRun);
    // A run without a generation cannot be resumed, and emits no state before it is applied.
    if (!stream.refresh || stream.generation !== undefined) undecided.set(prefixOf(stream), stream);
  }

  for await (const open of everyItem((page) => tidemark.listRefreshes(page))) {
    const stream = undecided.get(prefixIn(open.refresh_id));
    if (!stream) continue;
    if (!stream.refresh) throw unfinished(stream, open.refresh_id!);
    if (open.refresh_id !== refreshId(stream)) continue;
    const { sync_timestamp, refresh_id, operations, batches } = open;
    runs.set(stream, { sync_timestamp, refresh_id: refresh_id!, operations, batches });
    undecided.delete(prefixOf(stream));
  }

  let syncsRead = 0;
  for await (const sync of everyItem((page) => tidemark.listSyncs({ ...page, sync_mode: "full_refresh" }))) {
    if (undecided.size === 0 || ++syncsRead > HISTORY_SYNCS_MAX) break;
    const { refresh_id, status } = sync;
    const stream = undecided.get(prefixIn(refresh_id));
    if (stream && status === "staged") {
      if (!stream.refresh || refresh_id === refreshId(stream)) throw unfinished(stream, refresh_id!);
    } else if (stream?.refresh && refresh_id === refreshId(stream)) runs.delete(stream);
    // Only the newest refresh of a stream counts, whichever pipeline made it.
    for (const [prefix, { namespace }] of undecided) {
      if (Object.hasOwn(sync.by_namespace, namespace)) undecided.delete(prefix);
    }
  }
  return runs;
}

function unfinished(stream: Stream, refreshId: string) {
  const generation = refreshId.slice(prefixOf(stream).length);
  return configError(
    `The refresh of the stream ${stream.title} (generation ${generation}) was interrupted, and its records can no ` +
      "longer be used. So that no records are missing, nothing was changed. To start again, refresh this stream in " +
      "Airbyte (or clear it and sync).",
    undefined,
    stream.descriptor,
  );
}

/** The same id in every process that works on the generation; at most 64 characters. */
function refreshId(stream: Stream): string {
  const { generation } = stream;
  if (generation === undefined) return `airbyte-once-${randomUUID()}`;
  return `${prefixOf(stream)}${generation}`;
}

function prefixOf({ namespace }: Stream): string {
  return `airbyte-${createHash("sha256").update(namespace).digest("hex").slice(0, 32)}-g`;
}

function prefixIn(refreshId: string | null): string {
  return /^airbyte-[0-9a-f]{32}-g/.exec(refreshId ?? "")?.[0] ?? "";
}
