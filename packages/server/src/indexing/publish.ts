import type { Build, Deferral, RecordVersion } from "../storage/index-port.ts";
import type { LedgerTransaction, NamespaceIds, Storage } from "../storage/port.ts";
import { isCurrent } from "../storage/visibility.ts";
import { addToBuild } from "./add-to-build.ts";
import { sameSpace, sameText } from "./build-settings.ts";
import { planPublication } from "./plan-publication.ts";
import type { Prepared } from "./prepare.ts";
import { saveVectors, saveVectorsAhead, withoutVector } from "./save-vectors.ts";

/** How long an entry waits that was not settled because something changed after it was prepared. */
const CHANGED_PAUSE_MS = 100;

/**
 * Makes prepared versions searchable, in one short transaction under the store lock. Only versions that a row still has
 * are published: a slow embedding never overwrites newer text or brings a deleted record back. Publishing twice, even
 * by two processes, has the effect of publishing once.
 */
export async function publish(
  storage: Storage,
  storeId: string,
  prepared: Prepared,
  now: number,
): Promise<void> {
  await saveVectorsAhead(storage, storeId, prepared);
  const late = await storage.ledger(storeId, (tx) => publishIn(tx, prepared, now));
  const deferrals = [...prepared.deferrals, ...late];
  if (deferrals.length > 0) await storage.index.defer(storeId, deferrals);
}

/** @returns deferrals of the entries that must be prepared again */
async function publishIn(tx: LedgerTransaction, prepared: Prepared, now: number): Promise<Deferral[]> {
  // The sweep removes the queue of a deleted store.
  if (!(await tx.storeExists())) return [];
  const { index } = tx;
  const defer = (versions: Iterable<number>): Deferral[] =>
    Array.from(versions, (version) => ({ version, attempts: 0, error: null, dueAt: now + CHANGED_PAUSE_MS }));
  const queued = await index.queued(prepared.entries.map(({ version }) => version));
  const entries = prepared.entries.filter(({ version }) => queued.has(version));
  const builds = (await index.builds()).filter(({ state }) => state !== "retired");
  // Vectors are saved even if the batch is not published, so that no text is embedded twice.
  const numbers = await saveVectors(tx, builds, prepared);
  const isSame =
    builds.length === prepared.builds.length && builds.every((build) => isPreparedFor(prepared, build));
  if (!isSame) return defer(queued);

  const names = namesOf(entries);
  const rows = await tx.rowsOf(names);
  const namespaces = await tx.readNamespaces(names.map(({ namespace }) => namespace));
  const states = new Map(namespaces.map((state) => [state.namespace, state]));
  const plan = (versions: RecordVersion[]) =>
    planPublication(versions, rows, (row) => isCurrent(row, states.get(row.namespace)!));
  const unready = new Set([...prepared.empty, ...withoutVector(prepared, numbers)]);
  const first = plan(entries);
  const waiting = new Set([...unready].filter((version) => first.publish.has(version)));
  const settled = entries.filter(({ version }) => !waiting.has(version));
  const { publish, indexed, drop } = waiting.size === 0 ? first : plan(settled);

  const published = settled.filter(({ version }) => publish.has(version));
  const dropped = await index.dropChunks([...drop, ...published]);
  for (const batch of prepared.builds) {
    const build = builds.find(({ build }) => build === batch.build)!;
    await addToBuild(tx, build, batch, publish, numbers, dropped.get(batch.build));
  }
  if (indexed.length > 0) await index.setIndexed(indexed);
  await index.settle(settled.map(({ version }) => version));
  return defer(waiting);
}

/** Whether the build's settings are still those that the batch was prepared with. */
function isPreparedFor(prepared: Prepared, { build, settings: is }: Build): boolean {
  const was = prepared.builds.find((batch) => batch.build === build)?.settings;
  if (!was) return false;
  const sameEmbeddings =
    is.embeddings === null ? was.embeddings === null : sameSpace(is.embeddings, was.embeddings);
  return sameEmbeddings && sameText(is, was);
}

/** The records of versions, by namespace. */
export function namesOf(versions: RecordVersion[]): NamespaceIds[] {
  const byNamespace = Map.groupBy(versions, ({ namespace }) => namespace);
  return [...byNamespace].map(([namespace, records]) => ({
    namespace,
    ids: [...new Set(records.map(({ id }) => id))],
  }));
}
