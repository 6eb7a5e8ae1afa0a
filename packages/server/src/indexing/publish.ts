import type { Build, ChunkRow, Deferral, RecordVersion } from "../storage/index-port.ts";
import type { LedgerTransaction, NamespaceIds, Storage } from "../storage/port.ts";
import { isCurrent } from "../storage/visibility.ts";
import { fits, sameSpace, sameText, settingsOf } from "./build-settings.ts";
import { planPublication } from "./plan-publication.ts";
import type { Prepared, PreparedBuild } from "./prepare.ts";

/** How long entries wait that could not be settled because something changed meanwhile. */
const CHANGED_PAUSE_MS = 100;

/**
 * Makes prepared records found, in one short transaction in the store's turn, as far as they are still what was read: a
 * slow embedding never overwrites newer text, and never brings a deleted record back. Sent twice, or by two processes,
 * it does the same as once.
 */
export async function publish(
  storage: Storage,
  storeId: string,
  prepared: Prepared,
  now: number,
): Promise<void> {
  await keepAhead(storage, storeId, prepared);
  const late = await storage.ledger(storeId, (tx) => publishIn(tx, prepared, now));
  const deferrals = [...prepared.deferrals, ...late];
  if (deferrals.length > 0) await storage.index.defer(storeId, deferrals);
}

/** @returns entries that have to be looked at again */
async function publishIn(tx: LedgerTransaction, prepared: Prepared, now: number): Promise<Deferral[]> {
  // What is left of a deleted store is being swept.
  if (!(await tx.storeExists())) return [];
  const { index } = tx;
  const again = (versions: Iterable<number>): Deferral[] =>
    Array.from(versions, (version) => ({ version, attempts: 0, error: null, dueAt: now + CHANGED_PAUSE_MS }));
  const queued = await index.queued(prepared.entries.map(({ version }) => version));
  const entries = prepared.entries.filter(({ version }) => queued.has(version));
  const builds = (await index.builds()).filter(({ state }) => state !== "retired");
  // Kept in any case: nobody pays for a vector twice.
  const numbers = await keepVectors(tx, builds, prepared);
  const isSame =
    builds.length === prepared.builds.length && builds.every((build) => isBuildOf(build, prepared));
  if (!isSame) return again(queued);

  const names = namesOf(entries);
  const rows = await tx.rowsOf(names);
  const namespaces = await tx.readNamespaces(names.map(({ namespace }) => namespace));
  const states = new Map(namespaces.map((state) => [state.namespace, state]));
  const plan = (of: RecordVersion[]) =>
    planPublication(of, rows, (row) => isCurrent(row, states.get(row.namespace)!));
  const unready = new Set([...prepared.empty, ...withoutVector(prepared, numbers)]);
  const first = plan(entries);
  const waiting = new Set([...unready].filter((version) => first.publish.has(version)));
  const settled = entries.filter(({ version }) => !waiting.has(version));
  const { publish, indexed, drop } = waiting.size === 0 ? first : plan(settled);

  const published = settled.filter(({ version }) => publish.has(version));
  const dropped = await index.dropChunks([...drop, ...published]);
  for (const of of prepared.builds) {
    const build = builds.find(({ build }) => build === of.build)!;
    await addToBuild(tx, build, of, publish, numbers, dropped.get(of.build));
  }
  if (indexed.length > 0) await index.setIndexed(indexed);
  await index.settle(settled.map(({ version }) => version));
  return again(waiting);
}

/** Whether a batch was prepared for a build as it is. */
function isBuildOf({ build, settings }: Build, prepared: Prepared): boolean {
  const of = prepared.builds.find((one) => one.build === build);
  if (!of) return false;
  const [is, was] = [settingsOf({ settings }), settingsOf(of)];
  const sameEmbeddings =
    is.embeddings === null ? was.embeddings === null : sameSpace(is.embeddings, was.embeddings);
  return sameEmbeddings && sameText(is, was);
}

/** The ids that versions are of. */
export function namesOf(versions: RecordVersion[]): NamespaceIds[] {
  const named = Map.groupBy(versions, ({ namespace }) => namespace);
  return [...named].map(([namespace, of]) => ({ namespace, ids: [...new Set(of.map(({ id }) => id))] }));
}

/**
 * Adds the chunks of some versions and their segment to a build, and notes what it has then.
 * @param numbers of the vectors, as {@link keepVectors} found them
 * @param gone what the build has lost in this transaction
 */
export async function addToBuild(
  { index }: LedgerTransaction,
  build: Build,
  { chunks, blocks, vectors }: PreparedBuild,
  versions: Set<number>,
  numbers: Map<number, Map<string, number>>,
  gone = { chunks: 0, terms: 0 },
): Promise<void> {
  const added = chunks.flatMap(({ hash, ...row }, position): ChunkRow[] => {
    if (!versions.has(row.version)) return [];
    const vector = hash === null ? null : numbers.get(build.build)!.get(hash)!;
    return [{ ...row, chunk: build.nextChunk + position, vector }];
  });
  const after = { ...build };
  after.chunks += added.length - gone.chunks;
  after.terms += added.reduce((sum, { terms }) => sum + terms, 0) - gone.terms;
  if (added.length > 0) {
    await index.addChunks(build.build, added);
    const segment = after.nextSegment++;
    const bytes = blocks.reduce((sum, { data }) => sum + data.length, 0);
    after.nextChunk += chunks.length;
    const range = { firstChunk: build.nextChunk, endChunk: after.nextChunk, chunks: added.length };
    await index.putSegment(build.build, { segment, state: "live", ...range, bytes, makingUntil: 0 });
    await index.addBlocks(build.build, segment, blocks);
  }
  const settings = settingsOf(build);
  if (settings.embeddings?.dimensions === null && vectors.length > 0) {
    const dimensions = vectors[0]!.embedding.length;
    after.settings = JSON.stringify({ ...settings, embeddings: { ...settings.embeddings, dimensions } });
  }
  await index.putBuild(after);
}

/**
 * Keeps new vectors before the store's turn begins, because adding to many of them takes long. As long as nobody knows
 * how long a space's vectors are, it is the turn that decides.
 */
export async function keepAhead(storage: Storage, storeId: string, prepared: Prepared): Promise<void> {
  if (prepared.builds.every(({ vectors }) => vectors.length === 0)) return;
  const builds = await storage.index.builds(storeId);
  for (const { build, vectors } of prepared.builds) {
    const found = builds.find((one) => one.build === build && one.state !== "retired");
    const embeddings = found ? settingsOf(found).embeddings : null;
    if (!found || found.space === null || embeddings === null || embeddings.dimensions === null) continue;
    const fitting = vectors.filter(({ embedding }) => fits(embedding, embeddings));
    if (fitting.length > 0) await storage.index.addVectors(storeId, found.space, fitting);
  }
}

/** Keeps new vectors that are not kept yet. @returns the numbers of all that the batch needs, by build and hash */
export async function keepVectors(
  { index }: LedgerTransaction,
  builds: Build[],
  prepared: Prepared,
): Promise<Map<number, Map<string, number>>> {
  const numbers = new Map<number, Map<string, number>>();
  for (const { build, chunks, vectors } of prepared.builds) {
    const space = builds.find((one) => one.build === build)?.space ?? null;
    if (space === null) continue;
    const hashes = [...new Set(chunks.flatMap(({ hash }) => hash ?? []))];
    const find = () => (hashes.length > 0 ? index.findVectors(space, hashes) : new Map<string, number>());
    const found = await find();
    // Two of the first batches may have come back with vectors of different lengths.
    const { embeddings } = settingsOf(builds.find((one) => one.build === build)!);
    const missing = vectors.filter(
      ({ hash, embedding }) => !found.has(hash) && embeddings && fits(embedding, embeddings),
    );
    if (missing.length > 0) await index.addVectors(space, missing);
    numbers.set(build, missing.length > 0 ? await find() : found);
  }
  return numbers;
}

/** Versions that lack a vector: one that was there was removed since. */
export function withoutVector({ builds }: Prepared, numbers: Map<number, Map<string, number>>): number[] {
  return builds.flatMap(({ build, chunks }) =>
    chunks.flatMap(({ hash, version }) => (hash !== null && !numbers.get(build)!.has(hash) ? [version] : [])),
  );
}
