import type { Embedder } from "../embedding/embedder.ts";
import { buildSegment, type SegmentBlock } from "../lexical/segment.ts";
import type { BuildSettings } from "../storage/build-settings.ts";
import type { Build, Deferral, NewVector, QueueEntry, RecordVersion } from "../storage/index-port.ts";
import type { PreparedChunk } from "./chunk-records.ts";
import { type BuildChunks, chunkRecords } from "./chunk-records.ts";
import { deferralOf } from "./deferral.ts";
import { type EndpointNews, embedMissing } from "./embed-missing.ts";
import type { PrepareContext } from "./prepare-context.ts";

/** Records with their chunks, terms and vectors, ready to be published. */
export interface Prepared {
  /** The entries that publishing settles. */
  entries: RecordVersion[];
  /** Versions of the batch that had no content. */
  empty: number[];
  builds: PreparedBuild[];
  /** Entries that have to wait, because they failed or the batch was full. */
  deferrals: Deferral[];
  /** Whether the endpoints that the batch called worked. */
  endpoints: EndpointNews[];
}

/** What a batch adds to one build. */
export interface PreparedBuild {
  build: number;
  /** The build's settings when the batch was prepared. */
  settings: BuildSettings;
  chunks: PreparedChunk[];
  /** The segment of these chunks, in the order of the list. */
  blocks: SegmentBlock[];
  /** Newly made vectors. */
  vectors: NewVector[];
}

/**
 * Reads the contents of entries, makes chunks of them, and embeds the chunks that have no vector yet. It writes nothing
 * and may take long, because {@link publish} reads the rows again.
 * @param old the active build that a rebuild replaces; null: this is no rebuild. A rebuild must not lose a record that
 *   the old build finds: a refused chunk goes without a vector instead of failing its record, and the old build's
 *   chunks replace a content that is gone
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
  /** Versions that cannot be published now, and why; null: the endpoint is unavailable. */
  blocked: Map<number, string | null>;
  endpoints: EndpointNews[];
}

/** Embeds the chunks that have no vector. A chunk that gets none loses its hash. */
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
  // Builds of one space share their vectors.
  for (const peers of Map.groupBy(embedding, ({ build }) => build.space).values()) {
    const chunks = peers.flatMap((peer) => peer.chunks);
    const made = await embedMissing(context, storeId, peers[0]!.build, chunks, refused);
    for (const { build } of peers) embedded.vectors.set(build.build, made.vectors);
    for (const [version, reason] of made.blocked) embedded.blocked.set(version, reason);
    if (made.endpoint) embedded.endpoints.push(made.endpoint);
  }
  return embedded;
}

/** Whether a build of the configured model is replacing this one, which then serves on without new vectors. */
function isOutgoing(build: Build, builds: Build[], embedder: Embedder | null): boolean {
  const hasModel = ({ settings }: Build) => settings.embeddings?.model === embedder?.model;
  return (
    !hasModel(build) && builds.some((candidate) => candidate.state === "building" && hasModel(candidate))
  );
}
