import { parseJson } from "@tidemark/protocol/parse-json";
import type { Embedder } from "../embedding/embedder.ts";
import { buildSegment, type SegmentBlock } from "../lexical/segment.ts";
import type {
  Build,
  Deferral,
  NewVector,
  QueueEntry,
  RecordKey,
  RecordVersion,
} from "../storage/index-port.ts";
import { settingsOf } from "./build-settings.ts";
import { type Draft, openCutter } from "./cut-records.ts";
import { deferralOf } from "./deferral.ts";
import { type EndpointNews, embedMissing, type PrepareContext } from "./embed-missing.ts";

/** A batch is closed when it has so many passages, so that its transaction stays short. */
const PASSAGES_PER_BATCH = 600;

/** Records with everything that search needs of them, ready to be published. */
export interface Prepared {
  /** The entries that this settles. */
  entries: RecordVersion[];
  /** Versions among them that had no content. */
  empty: number[];
  builds: PreparedBuild[];
  /** Entries that have to wait, because they failed, or because the batch was full. */
  deferrals: Deferral[];
  /** What was learnt of embeddings endpoints; of one that nothing was needed of: nothing. */
  endpoints: EndpointNews[];
}

/** What a batch adds to one build. */
export interface PreparedBuild {
  build: number;
  /** As the build had them. */
  settings: string;
  chunks: PreparedChunk[];
  /** The segment of these chunks, whose positions in it are those in the list. */
  blocks: SegmentBlock[];
  /** Vectors that had to be made. */
  vectors: NewVector[];
}

/** A passage, and how many terms it has. */
export type PreparedChunk = Omit<Draft, "terms"> & { terms: number };

/**
 * Reads what queued contents say, cuts it into passages, and has those embedded that never were. Changes nothing, so it
 * may take as long as it takes: {@link publish} looks again.
 * @param old the build that the records are taken over from, if they are: no new build may lose what the old one finds.
 *   So a passage that the embedder refuses has no vector, instead of failing its record, and a text that is gone is
 *   what `old` has of it
 */
export async function prepare(
  context: PrepareContext,
  storeId: string,
  entries: QueueEntry[],
  builds: Build[],
  old: Build | null = null,
): Promise<Prepared> {
  const { taken, empty, left, drafts } = await cutRecords(context, storeId, entries, builds, old);
  const vectors = new Map<number, NewVector[]>();
  const blocked = new Map<number, string | null>();
  const endpoints: EndpointNews[] = [];
  const embedding = builds.filter(({ space }) => space !== null);
  for (const build of embedding.filter((build) => isOutgoing(build, builds, context.embedder))) {
    for (const draft of drafts.get(build.build)!) draft.hash = null;
  }
  // Builds of one space have their vectors in common.
  for (const ofSpace of Map.groupBy(embedding, ({ space }) => space).values()) {
    const all = ofSpace.flatMap(({ build }) => drafts.get(build)!);
    const made = await embedMissing(context, storeId, ofSpace[0]!, all, old ? "has no vector" : "fails");
    for (const { build } of ofSpace) vectors.set(build, made.vectors);
    for (const [version, reason] of made.blocked) blocked.set(version, reason);
    if (made.endpoint) endpoints.push(made.endpoint);
  }
  const { until } = context.pause;
  const failed = taken.filter(({ version }) => blocked.has(version));
  return {
    entries: taken
      .filter(({ version }) => !blocked.has(version))
      .map(({ namespace, id, version }) => ({ namespace, id, version })),
    empty,
    builds: builds.map(({ build, settings }) => {
      const ready = drafts.get(build)!.filter(({ version }) => !blocked.has(version));
      return {
        build,
        settings,
        chunks: ready.map((draft) => ({ ...draft, terms: draft.terms.length })),
        blocks: buildSegment(ready.map(({ terms }) => terms)),
        vectors: vectors.get(build) ?? [],
      };
    }),
    deferrals: [
      ...left.map(({ version, attempts }) => ({ version, attempts, error: null, dueAt: 0 })),
      ...failed.map((entry) => deferralOf(entry, blocked.get(entry.version) ?? null, context.now(), until)),
    ],
    endpoints,
  };
}

interface Cut {
  taken: QueueEntry[];
  /** Versions of those that had no content. */
  empty: number[];
  /** Entries that the batch has no room for. */
  left: QueueEntry[];
  /** By build. */
  drafts: Map<number, Draft[]>;
}

/** Cuts the contents of entries into the passages of each build, until there are enough for a batch. */
async function cutRecords(
  { storage, embedder }: PrepareContext,
  storeId: string,
  entries: QueueEntry[],
  builds: Build[],
  old: Build | null,
): Promise<Cut> {
  const contents = await storage.index.contents(
    storeId,
    entries.map(({ version }) => version),
  );
  const gone = old ? entries.filter(({ version }) => !contents.has(version)) : [];
  const passages = gone.length > 0 ? await storage.index.passages(storeId, old!.build, gone) : [];
  const shown = Map.groupBy(passages, ({ version }) => version);
  const cutters = await Promise.all(builds.map((build) => openCutter(build, embedder)));
  const drafts = builds.map((): Draft[] => []);
  let count = 0;
  let end = 0;
  // A record's versions stay together.
  const isFull = () => count >= PASSAGES_PER_BATCH && !isSameRecord(entries[end - 1], entries[end]);
  for (; end < entries.length && !isFull(); end++) {
    const entry = entries[end]!;
    const content = contents.get(entry.version);
    const read = content === undefined ? null : (parseJson(content) as { data: Record<string, unknown> });
    for (const [index, { cut, take }] of cutters.entries()) {
      const made = read ? cut(entry, read.data) : (shown.get(entry.version) ?? []).map(take);
      drafts[index]!.push(...made);
      count += made.length;
    }
  }
  const taken = entries.slice(0, end);
  return {
    taken,
    empty: taken.flatMap(({ version }) => (contents.has(version) ? [] : [version])),
    left: entries.slice(end),
    drafts: new Map(builds.map(({ build }, index) => [build, drafts[index]!])),
  };
}

/** Whether two keys, or none, are the same. */
export const isSameRecord = (one?: RecordKey | null, other?: RecordKey | null): boolean =>
  one?.id === other?.id && one?.namespace === other?.namespace;

/**
 * A build that one of the configured model is about to replace: it gets no more vectors, so that it can go on serving.
 */
function isOutgoing(build: Build, builds: Build[], embedder: Embedder | null): boolean {
  const modelOf = (of: Build) => settingsOf(of).embeddings?.model;
  return (
    modelOf(build) !== embedder?.model &&
    builds.some((other) => other.state === "building" && modelOf(other) === embedder?.model)
  );
}
