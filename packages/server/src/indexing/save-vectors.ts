import type { Build } from "../storage/index-port.ts";
import type { LedgerTransaction, Storage } from "../storage/port.ts";
import { fits } from "./build-settings.ts";
import type { Prepared } from "./prepare.ts";

/** The numbers of vectors, by build and by the hash of their text. */
export type VectorNumbers = Map<number, Map<string, number>>;

/**
 * Saves new vectors before the store lock is taken, because adding to a large vector index takes long. The vectors of
 * a space whose dimensions are not known yet are saved under the lock, which decides the dimensions.
 */
export async function saveVectorsAhead(storage: Storage, storeId: string, prepared: Prepared): Promise<void> {
  if (prepared.builds.every(({ vectors }) => vectors.length === 0)) return;
  const builds = await storage.index.builds(storeId);
  for (const { build: number, vectors } of prepared.builds) {
    const build = builds.find(({ build, state }) => build === number && state !== "retired");
    const embeddings = build?.settings.embeddings ?? null;
    if (!build || build.space === null || embeddings === null || embeddings.dimensions === null) continue;
    const fitting = vectors.filter(({ embedding }) => fits(embedding, embeddings));
    if (fitting.length > 0) await storage.index.addVectors(storeId, build.space, fitting);
  }
}

/** Saves the new vectors that are not saved yet. @returns the numbers of all vectors that the batch needs */
export async function saveVectors(
  { index }: LedgerTransaction,
  builds: Build[],
  prepared: Prepared,
): Promise<VectorNumbers> {
  const numbers: VectorNumbers = new Map();
  for (const { build: number, chunks, vectors } of prepared.builds) {
    const build = builds.find(({ build }) => build === number);
    const space = build?.space ?? null;
    if (!build || space === null) continue;
    const hashes = [...new Set(chunks.flatMap(({ hash }) => hash ?? []))];
    const find = () => (hashes.length > 0 ? index.findVectors(space, hashes) : new Map<string, number>());
    const saved = await find();
    // Two of the first batches may have vectors of different lengths.
    const { embeddings } = build.settings;
    const missing = vectors.filter(
      ({ hash, embedding }) => !saved.has(hash) && embeddings && fits(embedding, embeddings),
    );
    if (missing.length > 0) await index.addVectors(space, missing);
    numbers.set(number, missing.length > 0 ? await find() : saved);
  }
  return numbers;
}

/** Versions that lack a vector, because it was removed after the batch was prepared. */
export function withoutVector({ builds }: Prepared, numbers: VectorNumbers): number[] {
  return builds.flatMap(({ build, chunks }) =>
    chunks.flatMap(({ hash, version }) => (hash !== null && !numbers.get(build)!.has(hash) ? [version] : [])),
  );
}
