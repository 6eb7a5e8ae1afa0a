import { createHash, randomUUID } from "node:crypto";
import { everyItem, type Tidemark } from "@tidemark/client";
import type { Stream } from "./catalog.ts";
import { configError } from "./failure.ts";

/** A staged refresh of a stream, on the server. */
export interface RefreshRun {
  sync_timestamp: string;
  refresh_id: string;
  /** Operations, and requests, that the server has of it. */
  operations: number;
  batches: number;
}

/** Requests of the history that are read at most to find a stream's last refresh. */
const HISTORY_REQUESTS_MAX = 5000;

/**
 * Finds out which streams are to be replaced, and in which run.
 *
 * A run's `refresh_id` says of which stream and generation it is, so the attempts of one generation, in one process or
 * in several, find each other on the server:
 *
 * | the server has of the generation | the stream is |
 * | --- | --- |
 * | nothing | replaced, in a new run |
 * | an unfinished run | replaced, in that run: what earlier attempts staged counts |
 * | an applied run | replaced already: the rest of the generation is added to it |
 * | parts, but no run any more | refused: what the earlier attempts staged and Airbyte counts as delivered is lost |
 *
 * A stream that is added to, but whose last refresh was not finished, is refused for the same reason.
 *
 * @param timestamp of new runs
 * @returns the runs of those streams that are replaced
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
    const begun = { sync_timestamp: timestamp, refresh_id: refreshId(stream), operations: 0, batches: 0 };
    if (stream.refresh) runs.set(stream, begun);
    // A run of no generation is its process's alone, and nothing of it counts as delivered before it is applied.
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

  let read = 0;
  for await (const sync of everyItem((page) => tidemark.listSyncs({ ...page, sync_mode: "full_refresh" }))) {
    if (undecided.size === 0 || ++read > HISTORY_REQUESTS_MAX) break;
    const { refresh_id, status } = sync;
    const stream = undecided.get(prefixIn(refresh_id));
    if (stream && status === "staged") {
      if (!stream.refresh || refresh_id === refreshId(stream)) throw unfinished(stream, refresh_id!);
    } else if (stream?.refresh && refresh_id === refreshId(stream)) runs.delete(stream);
    // The newest refresh of a stream decides, whoever made it.
    for (const [prefix, { namespace }] of undecided) {
      if (Object.hasOwn(sync.by_namespace, namespace)) undecided.delete(prefix);
    }
  }
  return runs;
}

function unfinished(stream: Stream, refreshId: string) {
  const generation = refreshId.slice(prefixOf(stream).length);
  return configError(
    `The refresh of the stream ${stream.title} (generation ${generation}) was interrupted, and what it had delivered until then cannot ` +
      "be used any more. To leave no records out, nothing was changed. Refresh this stream in Airbyte (or clear it and sync): it then " +
      "begins anew.",
    undefined,
    stream.descriptor,
  );
}

/** At most 64 characters, the same in every process that works on the generation. */
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
