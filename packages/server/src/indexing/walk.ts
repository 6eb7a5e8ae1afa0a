import type { LedgerTransaction, Storage } from "../storage/port.ts";
import { isSameRecord, type RecordKey } from "../storage/record-key.ts";
import { addToBuild } from "./add-to-build.ts";
import type { EndpointNews } from "./embed-missing.ts";
import { type Prepared, prepare } from "./prepare.ts";
import type { PrepareContext } from "./prepare-context.ts";
import { namesOf } from "./publish.ts";
import { saveVectors, saveVectorsAhead, withoutVector } from "./save-vectors.ts";

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

/** The next step, if there is one that can be taken now, and what was learnt of the embeddings endpoints. */
export interface PreparedStep {
  step: Step | null;
  endpoints: EndpointNews[];
}

/**
 * Prepares the next step of the build that a store is being made: what records are found by, be it an older text than
 * they have, as no new index may lose what the old one finds. Changes nothing.
 */
export async function prepareStep(context: PrepareContext, storeId: string): Promise<PreparedStep> {
  const { index } = context.storage;
  const builds = await index.builds(storeId);
  const build = builds.find(({ state }) => state === "building");
  if (!build) return { step: null, endpoints: [] };
  const records = await index.indexedRecords(storeId, build.walked, STEP_RECORDS);
  const entries = records.map((record) => ({ ...record, attempts: 0 }));
  const old = builds.find(({ state }) => state === "active")!;
  const prepared = await prepare(context, storeId, entries, [build], old);
  // From the first record on of which a version has to wait, all are looked at again: what the build has by then is
  // left out.
  const ready = new Set(prepared.entries.map(({ version }) => version));
  const waiting = records.find(({ version }) => !ready.has(version));
  const last = waiting
    ? records[records.findIndex((record) => isSameRecord(record, waiting)) - 1]
    : records.at(-1);
  const isLast = records.length === 0;
  const to = last ? { namespace: last.namespace, id: last.id } : build.walked;
  // What was embedded is saved even if no record is ready.
  const isVain = !last && !isLast && prepared.builds.every(({ vectors }) => vectors.length === 0);
  const step = isVain ? null : { build: build.build, prepared, from: build.walked, to, isLast };
  return { step, endpoints: prepared.endpoints };
}

/**
 * Adds a step to its build; the last step makes the build the one that serves. Records that changed meanwhile are left
 * out, as are those that the build has: whoever published what they are now brought it to this build too.
 */
export async function publishStep(storage: Storage, storeId: string, step: Step): Promise<void> {
  await saveVectorsAhead(storage, storeId, step.prepared);
  await storage.ledger(storeId, (tx) => publishStepIn(tx, step));
}

async function publishStepIn(tx: LedgerTransaction, step: Step): Promise<void> {
  const { index } = tx;
  const builds = await index.builds();
  const build = builds.find(({ build, state }) => build === step.build && state === "building");
  if (!build || !isSameRecord(build.walked, step.from)) return;
  if (step.isLast) {
    for (const old of builds.filter(({ state }) => state === "active")) {
      await index.putBuild({ ...old, state: "retired" });
    }
    await index.putBuild({ ...build, state: "active", walked: null });
    return;
  }
  const { prepared } = step;
  const numbers = await saveVectors(tx, builds, prepared);
  if (withoutVector(prepared, numbers).length > 0) return;
  const rows = await tx.rowsOf(namesOf(prepared.entries));
  const indexedVersions = new Set(rows.flatMap(({ indexed }) => (indexed === null ? [] : [indexed])));
  const known = await index.versionsIn(build.build, prepared.entries);
  const added = new Set(
    prepared.entries.flatMap(({ version }) => (indexedVersions.has(version) ? version : [])),
  );
  for (const version of known) added.delete(version);
  await addToBuild(tx, { ...build, walked: step.to }, prepared.builds[0]!, added, numbers);
}
