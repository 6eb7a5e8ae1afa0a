import type { Build, Deferral, RecordVersion } from "../storage/index-port.ts";
import type { LedgerTransaction, NamespaceIds, Storage } from "../storage/port.ts";
import { isCurrent } from "../storage/visibility.ts";
import { addToBuild } from "./add-to-build.ts";
import { sameSpace, sameText } from "./build-settings.ts";
import { planPublication } from "./plan-publication.ts";
import type { Prepared } from "./prepare.ts";
import { saveVectors, saveVectorsAhead, withoutVector } from "./save-vectors.ts";

/** How long entries wait that could not be settled because something changed meanwhile. */
const CHANGED_PAUSE_MS = 100;

/**
 * Makes prepared records found, in one short transaction under the store lock, as far as they are still what was read:
 * a slow embedding never overwrites newer text, and never brings a deleted record back. Sent twice, or by two
 * processes, it does the same as once.
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

/** @returns entries that have to be looked at again */
async function publishIn(tx: LedgerTransaction, prepared: Prepared, now: number): Promise<Deferral[]> {
  // What is left of a deleted store is being swept.
  if (!(await tx.storeExists())) return [];
  const { index } = tx;
  const defer = (versions: Iterable<number>): Deferral[] =>
    Array.from(versions, (version) => ({ version, attempts: 0, error: null, dueAt: now + CHANGED_PAUSE_MS }));
  const queued = await index.queued(prepared.entries.map(({ version }) => version));
  const entries = prepared.entries.filter(({ version }) => queued.has(version));
  const builds = (await index.builds()).filter(({ state }) => state !== "retired");
  // Saved in any case: nobody pays for a vector twice.
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

/** Whether a batch was prepared for a build as it is. */
function isPreparedFor(prepared: Prepared, { build, settings: is }: Build): boolean {
  const was = prepared.builds.find((batch) => batch.build === build)?.settings;
  if (!was) return false;
  const sameEmbeddings =
    is.embeddings === null ? was.embeddings === null : sameSpace(is.embeddings, was.embeddings);
  return sameEmbeddings && sameText(is, was);
}

/** The ids that versions are of. */
export function namesOf(versions: RecordVersion[]): NamespaceIds[] {
  const byNamespace = Map.groupBy(versions, ({ namespace }) => namespace);
  return [...byNamespace].map(([namespace, records]) => ({
    namespace,
    ids: [...new Set(records.map(({ id }) => id))],
  }));
}
