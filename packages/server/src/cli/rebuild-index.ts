import { setTimeout as pause } from "node:timers/promises";
import type { IndexStatus } from "../browse/index-status.ts";
import type { Commands } from "../commands.ts";
import type { Config } from "../config.ts";
import { everyStore } from "./database.ts";
import { describeModel } from "./describe-index.ts";
import { startTransferBar, type TransferBar } from "./progress.ts";

const POLL_MS = 1000;
/** Without progress for this long, no server works on the build, or its embeddings endpoint is away. */
const PATIENCE_MS = 15_000;

export interface RebuildOptions {
  store?: string;
  all: boolean;
  lexical: boolean;
  wait: boolean;
  json: boolean;
}

interface StoreToRebuild {
  organizationId: string;
  storeId: string;
  /** JSON. */
  settings: string;
}

/**
 * Begins a new index of the stores that the options name, prints them, and waits for the indexes with `wait`.
 * @throws Error before any index begins if the options do not fit the embeddings of a store or of the environment
 */
export async function rebuildIndexes(
  commands: Commands,
  config: Config,
  options: RebuildOptions,
): Promise<void> {
  const stores: StoreToRebuild[] = [];
  for (const { organization, store } of await everyStore(commands, options.store)) {
    const settings = JSON.stringify(store.settings);
    stores.push({ organizationId: organization.id, storeId: store.id, settings });
  }
  // Every store is checked before the first build begins.
  for (const store of stores) checkEmbeddings(await statusOf(commands, store), config, options.lexical);
  const begun: IndexStatus[] = [];
  for (const store of stores) {
    await commands.beginBuild(store.storeId, store.settings, true);
    begun.push(await statusOf(commands, store));
  }
  if (!options.json) console.log(begun.map(describeBegun).join("\n") || "There is no vector store yet.");
  if (options.wait) await waitFor(commands, stores);
  if (options.json) {
    const statuses = options.wait
      ? await Promise.all(stores.map((store) => statusOf(commands, store)))
      : begun;
    console.log(JSON.stringify(statuses, null, 2));
  } else if (options.wait) console.log("Done: searches use the new indexes.");
  else if (begun.length > 0) {
    console.log("tidemark serve builds it in the background; tidemark index status shows how far it is.");
  }
}

const statusOf = (commands: Commands, { organizationId, storeId }: StoreToRebuild): Promise<IndexStatus> =>
  commands.getIndexStatus(organizationId, storeId);

/** @throws Error if a store would lose its embeddings without --lexical, or embed again in spite of it */
function checkEmbeddings(
  { vector_store_id, builds }: IndexStatus,
  { embeddingsUrl }: Config,
  lexical: boolean,
): void {
  const model = builds.at(-1)?.model ?? null;
  if (lexical && embeddingsUrl) {
    throw new Error(
      "--lexical needs an environment without embeddings: unset TIDEMARK_EMBEDDINGS_URL here and on the server, or leave --lexical out.",
    );
  }
  if (model !== null && !embeddingsUrl && !lexical) {
    throw new Error(
      `${vector_store_id} has embeddings of ${model}, but this environment has no embeddings endpoint: set TIDEMARK_EMBEDDINGS_URL and TIDEMARK_EMBEDDINGS_MODEL as on the server, or give --lexical to index without embeddings.`,
    );
  }
}

function describeBegun({ vector_store_id, builds }: IndexStatus): string {
  const build = builds.at(-1)!;
  const index = build.state === "building" ? "a new index" : "the first index";
  return `${vector_store_id}: began ${index}, ${describeModel(build)}.`;
}

/** Waits until no store has a build in progress; shows a bar to a person at a terminal. */
async function waitFor(commands: Commands, stores: StoreToRebuild[]): Promise<void> {
  let bar: TransferBar | undefined;
  let total = 0;
  let before = -1;
  let movedAt = performance.now();
  try {
    for (;;) {
      const statuses = await Promise.all(stores.map((store) => statusOf(commands, store)));
      const building = statuses.flatMap(({ builds }) => builds.filter(({ state }) => state === "building"));
      // A finished build has no progress, so the bar counts the records that are left.
      const left = building.reduce((sum, { progress }) => sum + progress!.of - progress!.records, 0);
      total = Math.max(total, left);
      bar ??= startTransferBar(total, "records");
      bar.show(total - left, total - left);
      if (building.length === 0) return;
      if (left !== before) movedAt = performance.now();
      else if (performance.now() - movedAt > PATIENCE_MS) {
        console.error(
          "No progress: check that tidemark serve is running and that its embeddings endpoint answers.",
        );
        movedAt = Number.POSITIVE_INFINITY;
      }
      before = left;
      await pause(POLL_MS);
    }
  } finally {
    bar?.end();
  }
}
