import { setTimeout as pause } from "node:timers/promises";
import type { IndexStatus } from "../browse/index-status.ts";
import type { Commands } from "../commands.ts";
import type { Config } from "../config.ts";
import { everyStore } from "./database.ts";
import { describeModel } from "./describe-index.ts";
import { startTransferBar, type TransferBar } from "./progress.ts";

const LOOK_EVERY_MS = 1000;
/** A build that does not get on for so long has nobody who works on it, or no embeddings. */
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
 * Begins a new index of the stores that the options name, prints what began, and waits for it if asked to.
 * @throws Error before any index began if a store would lose its embeddings, or get them again, unasked
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
  // All are looked at before one is begun.
  for (const store of stores) mustFit(await statusOf(commands, store), config, options.lexical);
  const begun: IndexStatus[] = [];
  for (const store of stores) {
    await commands.beginBuild(store.storeId, store.settings, true);
    begun.push(await statusOf(commands, store));
  }
  if (!options.json) console.log(begun.map(describeBegun).join("\n") || "There is no vector store yet.");
  if (options.wait) await waitFor(commands, stores);
  if (options.json) {
    const shown = options.wait ? await Promise.all(stores.map((store) => statusOf(commands, store))) : begun;
    console.log(JSON.stringify(shown, null, 2));
  } else if (options.wait) console.log("Done: the new indexes serve.");
  else if (begun.length > 0) {
    console.log("tidemark serve makes it in the background; tidemark index status shows how far it is.");
  }
}

const statusOf = (commands: Commands, { organizationId, storeId }: StoreToRebuild): Promise<IndexStatus> =>
  commands.getIndexStatus(organizationId, storeId);

/** @throws Error if a store would lose its embeddings, or get them again, without anybody having said so */
function mustFit(
  { vector_store_id, builds }: IndexStatus,
  { embeddingsUrl }: Config,
  lexical: boolean,
): void {
  const model = builds.at(-1)?.model ?? null;
  if (lexical && embeddingsUrl) {
    throw new Error(
      "--lexical is for servers without embeddings, and TIDEMARK_EMBEDDINGS_URL is set: a server with it would embed again.",
    );
  }
  if (model !== null && !embeddingsUrl && !lexical) {
    throw new Error(
      `${vector_store_id} has embeddings of ${model}, and this environment names none: set TIDEMARK_EMBEDDINGS_URL and TIDEMARK_EMBEDDINGS_MODEL as the server has them, or give --lexical to do without.`,
    );
  }
}

function describeBegun({ vector_store_id, builds }: IndexStatus): string {
  const build = builds.at(-1)!;
  const what = build.state === "building" ? "a new index" : "the first index";
  return `${vector_store_id}: began ${what}, ${describeModel(build)}.`;
}

/** Waits until no store has an index under way, with a bar for a person at a terminal. */
async function waitFor(commands: Commands, stores: StoreToRebuild[]): Promise<void> {
  let bar: TransferBar | undefined;
  let total = 0;
  let before = -1;
  let movedAt = performance.now();
  try {
    for (;;) {
      const statuses = await Promise.all(stores.map((store) => statusOf(commands, store)));
      const building = statuses.flatMap(({ builds }) => builds.filter(({ state }) => state === "building"));
      // A store that is done has no progress any more: what is left counts.
      const left = building.reduce((sum, { progress }) => sum + progress!.of - progress!.records, 0);
      total = Math.max(total, left);
      bar ??= startTransferBar(total, "records");
      bar.show(total - left, total - left);
      if (building.length === 0) return;
      if (left !== before) movedAt = performance.now();
      else if (performance.now() - movedAt > PATIENCE_MS) {
        console.error("No progress: is tidemark serve running, and does its embeddings endpoint answer?");
        movedAt = Number.POSITIVE_INFINITY;
      }
      before = left;
      await pause(LOOK_EVERY_MS);
    }
  } finally {
    bar?.end();
  }
}
