import type { Embedder } from "../embedding/embedder.ts";
import { buildSegment, type SegmentBlock } from "../lexical/segment.ts";
import type { BuildSettings } from "../storage/build-settings.ts";
import type { Build, Deferral, NewVector, QueueEntry, RecordVersion } from "../storage/index-port.ts";
import type { PreparedChunk } from "./chunk-records.ts";
import { type BuildChunks, chunkRecords } from "./chunk-records.ts";
import { deferralOf } from "./deferral.ts";
import { type EndpointNews, embedMissing } from "./embed-missing.ts";
import type { PrepareContext } from "./prepare-context.ts";

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
  settings: BuildSettings;
  chunks: PreparedChunk[];
  /** The segment of these chunks, whose positions in it are those in the list. */
  blocks: SegmentBlock[];
  /** Vectors that had to be made. */
  vectors: NewVector[];
}

/**
 * Reads the contents of entries, makes chunks of them, and embeds the chunks that have no vector yet. It changes
 * nothing, so it may take as long as it takes: {@link publish} looks again.
 * @param old the build that the records are taken over from, if they are: no new build may lose what the old one finds.
 *   So a chunk that the embedder refuses has no vector, instead of failing its record, and a text that is gone is what
 *   `old` has of it
 */
export async function prepare(
  context: PrepareContext,
  storeId: string,
  entries: QueueEntry[],
  builds: Build[],
  old: Build | null = null,
): Promise<Prepared> {
  const batch = await chunkRecords(context, storeId, entries, builds, old);
  const refused = old ? "has no vector" : "fails";
  const { vectors, blocked, endpoints } = await embedBatch(context, storeId, batch.builds, refused);
  const isReady = ({ version }: { version: number }) => !blocked.has(version);
  const failed = batch.entries.filter((entry) => !isReady(entry));
  const { until } = context.pause;
  return {
    entries: batch.entries.filter(isReady).map(({ namespace, id, version }) => ({ namespace, id, version })),
    empty: batch.empty,
    builds: batch.builds.map(({ build: { build, settings }, chunks, termsOf }) => {
      const ready = chunks.filter(isReady);
      const blocks = buildSegment(ready.map((chunk) => termsOf.get(chunk)!));
      return { build, settings, chunks: ready, blocks, vectors: vectors.get(build) ?? [] };
    }),
    deferrals: [
      ...batch.left.map(({ version, attempts }) => ({ version, attempts, error: null, dueAt: 0 })),
      ...failed.map((entry) => deferralOf(entry, blocked.get(entry.version) ?? null, context.now(), until)),
    ],
    endpoints,
  };
}

interface EmbeddedBatch {
  /** New vectors, by build. */
  vectors: Map<number, NewVector[]>;
  /** Versions that cannot be published now, and why: null where only the endpoint is to blame. */
  blocked: Map<number, string | null>;
  endpoints: EndpointNews[];
}

/** Embeds what builds lack. A chunk that is to have no vector loses its hash. */
async function embedBatch(
  context: PrepareContext,
  storeId: string,
  batch: BuildChunks[],
  refused: "fails" | "has no vector",
): Promise<EmbeddedBatch> {
  const embedded: EmbeddedBatch = { vectors: new Map(), blocked: new Map(), endpoints: [] };
  const builds = batch.map(({ build }) => build);
  const embedding = batch.filter(({ build }) => build.space !== null);
  for (const { build, chunks } of embedding) {
    if (isOutgoing(build, builds, context.embedder)) for (const chunk of chunks) chunk.hash = null;
  }
  // Builds of one space have their vectors in common.
  for (const peers of Map.groupBy(embedding, ({ build }) => build.space).values()) {
    const chunks = peers.flatMap((peer) => peer.chunks);
    const made = await embedMissing(context, storeId, peers[0]!.build, chunks, refused);
    for (const { build } of peers) embedded.vectors.set(build.build, made.vectors);
    for (const [version, reason] of made.blocked) embedded.blocked.set(version, reason);
    if (made.endpoint) embedded.endpoints.push(made.endpoint);
  }
  return embedded;
}

/**
 * A build that one of the configured model is about to replace: it gets no more vectors, so that it can go on serving.
 */
function isOutgoing(build: Build, builds: Build[], embedder: Embedder | null): boolean {
  const hasModel = ({ settings }: Build) => settings.embeddings?.model === embedder?.model;
  return (
    !hasModel(build) && builds.some((candidate) => candidate.state === "building" && hasModel(candidate))
  );
}
