import type { LedgerTransaction, Storage } from "../storage/port.ts";
import { isSameRecord, type RecordKey } from "../storage/record-key.ts";
import { addToBuild } from "./add-to-build.ts";
import type { EndpointNews } from "./embed-missing.ts";
import { type Prepared, prepare } from "./prepare.ts";
import type { PrepareContext } from "./prepare-context.ts";
import { namesOf } from "./publish.ts";
import { saveVectors, saveVectorsAhead, withoutVector } from "./save-vectors.ts";

/** Records of one step of a new build. */
const STEP_RECORDS = 300;

/** The next records of a new build, ready to be added. */
export interface Step {
  build: number;
  prepared: Prepared;
  /** The record after which the step begins; null: at the first. */
  from: RecordKey | null;
  /** The last record that the build has after the step. */
  to: RecordKey | null;
  /** Whether no records are left, so that the build can serve. */
  isLast: boolean;
}

/** The next step, or null if none can be taken now, and whether the endpoints worked. */
export interface PreparedStep {
  step: Step | null;
  endpoints: EndpointNews[];
}

/**
 * Prepares the next step of a store's new build. It takes the versions by which records are found now, even if their
 * rows are newer, because a new build must not lose a record that the old one finds. Only reads.
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
  // The next step begins again at the first record that has to wait; it leaves out the versions that the build has.
  const ready = new Set(prepared.entries.map(({ version }) => version));
  const waiting = records.find(({ version }) => !ready.has(version));
  const last = waiting
    ? records[records.findIndex((record) => isSameRecord(record, waiting)) - 1]
    : records.at(-1);
  const isLast = records.length === 0;
  const to = last ? { namespace: last.namespace, id: last.id } : build.walked;
  // A step without a ready record still saves its new vectors.
  const isVain = !last && !isLast && prepared.builds.every(({ vectors }) => vectors.length === 0);
  const step = isVain ? null : { build: build.build, prepared, from: build.walked, to, isLast };
  return { step, endpoints: prepared.endpoints };
}

/**
 * Adds a step to its build; the last step activates the build. It leaves out records that changed after the step was
 * prepared and those that the build has: the indexer publishes changed records to every build.
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
  const present = await index.versionsIn(build.build, prepared.entries);
  const added = new Set(
    prepared.entries.flatMap(({ version }) => (indexedVersions.has(version) ? version : [])),
  );
  for (const version of present) added.delete(version);
  await addToBuild(tx, { ...build, walked: step.to }, prepared.builds[0]!, added, numbers);
}
