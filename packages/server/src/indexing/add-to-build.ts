import type { Build, IndexedChunk } from "../storage/index-port.ts";
import type { LedgerTransaction } from "../storage/port.ts";
import type { PreparedBuild } from "./prepare.ts";
import type { VectorNumbers } from "./save-vectors.ts";

/**
 * Adds the chunks of some versions and their segment to a build, and updates the build's counts.
 * @param numbers the numbers of the vectors, from `saveVectors`
 * @param dropped the chunks and terms that the build has lost in this transaction
 */
export async function addToBuild(
  { index }: LedgerTransaction,
  build: Build,
  { chunks, blocks, vectors }: PreparedBuild,
  versions: Set<number>,
  numbers: VectorNumbers,
  dropped = { chunks: 0, terms: 0 },
): Promise<void> {
  const added = chunks.flatMap(({ hash, ...chunk }, position): IndexedChunk[] => {
    if (!versions.has(chunk.version)) return [];
    const vector = hash === null ? null : numbers.get(build.build)!.get(hash)!;
    return [{ ...chunk, chunk: build.nextChunk + position, vector }];
  });
  const after = { ...build };
  after.chunks += added.length - dropped.chunks;
  after.terms += added.reduce((sum, { terms }) => sum + terms, 0) - dropped.terms;
  if (added.length > 0) {
    await index.addChunks(build.build, added);
    const segment = after.nextSegment++;
    const bytes = blocks.reduce((sum, { data }) => sum + data.length, 0);
    after.nextChunk += chunks.length;
    const range = { firstChunk: build.nextChunk, endChunk: after.nextChunk, chunks: added.length };
    await index.putSegment(build.build, { segment, state: "live", ...range, bytes, makingUntil: 0 });
    await index.addBlocks(build.build, segment, blocks);
  }
  const { settings } = build;
  if (settings.embeddings?.dimensions === null && vectors.length > 0) {
    const dimensions = vectors[0]!.embedding.length;
    after.settings = { ...settings, embeddings: { ...settings.embeddings, dimensions } };
  }
  await index.putBuild(after);
}
