import type { RecordKey } from "../storage/index-port.ts";
import type { LedgerTransaction, Storage } from "../storage/port.ts";
import type { PrepareContext } from "./embed-missing.ts";
import { type Prepared, prepare } from "./prepare.ts";
import { addToBuild, keepAhead, keepVectors, namesOf, withoutVector } from "./publish.ts";

/** Records that one step of a new build takes. */
const STEP_RECORDS = 300;

/** The next records that a build under way lacks, ready to be added. */
export interface Step {
  build: number;
  prepared: Prepared;
  /** The record that it went on behind. */
  from: RecordKey | null;
  /** The record up to which the build has everything afterwards. */
  to: RecordKey | null;
  /** True: nothing was left. */
  isLast: boolean;
}

/**
 * Prepares the next step of the build that a store is being made. Changes nothing. A passage that the embedder refuses has no
 * vector in it: its record is found by its words, as no new index may lose what the old one finds.
 * @returns null if there is none, or if the embeddings endpoint cannot be used now
 */
export async function prepareStep(context: PrepareContext, storeId: string): Promise<Step | null> {
  const { index } = context.storage;
  const build = (await index.builds(storeId)).find(({ state }) => state === "building");
  if (!build) return null;
  const records = await index.indexedRecords(storeId, build.walked, STEP_RECORDS);
  const marks = records.map((record) => ({ ...record, attempts: 0 }));
  const prepared = await prepare(context, storeId, marks, [build], "has no vector");
  // Records behind one that has to wait are looked at again: those that the build has by then are left out.
  const ready = new Set(prepared.marks.map(({ version }) => version));
  const waiting = records.findIndex(({ version }) => !ready.has(version));
  const last = records.at(waiting === -1 ? records.length - 1 : waiting - 1);
  const isLast = records.length === 0;
  const to = waiting === 0 || !last ? build.walked : { namespace: last.namespace, id: last.id };
  // What was embedded is kept even if no record is ready.
  const isVain = waiting === 0 && prepared.builds.every(({ vectors }) => vectors.length === 0);
  return isVain ? null : { build: build.build, prepared, from: build.walked, to, isLast };
}

/**
 * Adds a step to its build; the last step makes the build the one that serves. Records that changed meanwhile are left
 * out, as are those that the build has: whoever published what they are now brought it to this build too.
 */
export async function publishStep(storage: Storage, storeId: string, step: Step): Promise<void> {
  await keepAhead(storage, storeId, step.prepared);
  await storage.ledger(storeId, (tx) => publishStepIn(tx, step));
}

async function publishStepIn(tx: LedgerTransaction, step: Step): Promise<void> {
  const { index } = tx;
  const builds = await index.builds();
  const build = builds.find((one) => one.build === step.build && one.state === "building");
  const isNext = build?.walked?.namespace === step.from?.namespace && build?.walked?.id === step.from?.id;
  if (!build || !isNext) return;
  if (step.isLast) {
    for (const old of builds.filter(({ state }) => state === "active")) {
      await index.putBuild({ ...old, state: "retired" });
    }
    await index.putBuild({ ...build, state: "active", walked: null });
    return;
  }
  const { prepared } = step;
  const numbers = await keepVectors(tx, builds, prepared);
  if (withoutVector(prepared, numbers).length > 0) return;
  const rows = await tx.rowsOf(namesOf(prepared.marks));
  const found = new Set(rows.flatMap(({ indexed }) => (indexed === null ? [] : [indexed])));
  const known = await index.versionsIn(build.build, prepared.marks);
  const added = new Set(prepared.marks.flatMap(({ version }) => (found.has(version) ? version : [])));
  for (const version of known) added.delete(version);
  await addToBuild(tx, { ...build, walked: step.to }, prepared.builds[0]!, added, numbers);
}
