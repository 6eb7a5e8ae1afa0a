import { createHash } from "node:crypto";
import { everyItem, type RemovalLimit, type Tidemark, TidemarkError } from "@tidemark/client";
import type { RunClock, Timestamp } from "./clock.ts";

/** A version of a table: the tap's name for one complete read of it. */
export interface TableVersion {
  version: string;
  /** The `refresh_id` of its refresh, in every run with records of this version. */
  refreshId: string;
  /** Records that were last written at or before this moment belong to an older version. */
  until: Timestamp;
  /** Whether the namespace had another version before. */
  replaces: boolean;
  /** Whether a later run can find the version; only then may STATEs go out. */
  marked: boolean;
  /** Whether the records of older versions were removed. */
  applied: boolean;
  /** Whether this run has had a record of it, … */
  hasRecords: boolean;
  /** … or an ACTIVATE_VERSION before the first one, … */
  announced: boolean;
  /** … and a STATE after all of those. */
  settled: boolean;
}

/** One of this target's refreshes in the store's history. */
interface Entry {
  refreshId: string;
  until: Timestamp;
  applied: boolean;
}

/** The most pages of history that are read: 10,000 refreshes of this connector. */
const HISTORY_PAGES = 100;

const PREFIX = "singer-";

/**
 * Remembers table versions between runs, in the store.
 *
 * A version and the moment at which it began are a full refresh of its namespace without operations. {@link mark}
 * stages the refresh before a STATE goes out, and {@link apply} applies it. The version's records are written by
 * incremental syncs that are newer than the refresh, so that the refresh clears only the other records.
 */
export class Versions {
  #tidemark: Tidemark;
  #clock: RunClock;
  #removalLimit: RemovalLimit | undefined;
  #history: Promise<Map<string, Entry[]>> | undefined;

  constructor(tidemark: Tidemark, clock: RunClock, removalLimit: RemovalLimit | undefined) {
    this.#tidemark = tidemark;
    this.#clock = clock;
    this.#removalLimit = removalLimit;
  }

  /** Whether a namespace had this version, and another one since. @throws TidemarkError */
  async isOlder(namespace: string, version: string): Promise<boolean> {
    const [newest, ...older] = await this.#entries(namespace);
    const refreshId = refreshIdOf(namespace, version);
    return newest?.refreshId !== refreshId && older.some((entry) => entry.refreshId === refreshId);
  }

  /** Looks up a version that is new in this run. @throws TidemarkError */
  async find(namespace: string, version: string): Promise<TableVersion> {
    const entries = await this.#entries(namespace);
    const refreshId = refreshIdOf(namespace, version);
    const [newest] = entries;
    // If an earlier run began the version, that run's time counts.
    const known = newest?.refreshId === refreshId ? newest : undefined;
    return {
      version,
      refreshId,
      // A forgotten run may have begun the namespace's first version, so its start is unknown.
      until: known?.until ?? (newest ? this.#clock.before() : this.#clock.beforeVersion(version)),
      replaces: entries.some((entry) => entry.refreshId !== refreshId),
      marked: known !== undefined,
      applied: entries.some(
        (entry) => entry.applied && entry.refreshId === refreshId && entry.until === known?.until,
      ),
      hasRecords: false,
      announced: false,
      settled: false,
    };
  }

  /** Stores the version, so that a later run finds it. @throws TidemarkError */
  async mark(namespace: string, table: TableVersion): Promise<void> {
    if (table.marked || table.applied) return;
    await this.#stage(namespace, table);
    table.marked = true;
    await this.#remember(namespace, table);
  }

  /**
   * Removes the records of older versions from a namespace, in one instant.
   * @returns how many records were removed; undefined if a newer refresh had been applied already
   * @throws TidemarkError REMOVAL_LIMIT_EXCEEDED and others
   */
  async apply(namespace: string, table: TableVersion): Promise<number | undefined> {
    let cleared: number | undefined;
    try {
      cleared = await this.#refresh(namespace, table);
    } catch (error) {
      if (!(error instanceof TidemarkError && error.is("STALE_SYNC"))) throw error;
    }
    table.marked = true;
    table.applied = true;
    await this.#remember(namespace, table);
    return cleared;
  }

  async #refresh(namespace: string, table: TableVersion): Promise<number> {
    const run = { sync_timestamp: table.until, refresh_id: table.refreshId };
    const removalLimit = this.#removalLimit;
    const send = () => this.#tidemark.syncAll([], { mode: "full_refresh", namespace, run, removalLimit });
    try {
      return (await send()).changes.cleared;
    } catch (error) {
      if (!(error instanceof TidemarkError && error.is("INCOMPLETE_REFRESH"))) throw error;
      // The mark expired after a day. It holds no records, so the target stages it again.
      await this.#stage(namespace, table);
      return (await send()).changes.cleared;
    }
  }

  async #stage(namespace: string, { until, refreshId }: TableVersion): Promise<void> {
    try {
      await this.#tidemark.sync({
        sync_mode: "full_refresh",
        sync_timestamp: until,
        refresh_id: refreshId,
        namespaces: [namespace],
        last_batch: false,
        operations: [],
      });
    } catch (error) {
      // A newer refresh was applied, so nothing older is left to remove.
      if (!(error instanceof TidemarkError && error.is("STALE_SYNC"))) throw error;
    }
  }

  async #entries(namespace: string): Promise<Entry[]> {
    this.#history ??= readHistory(this.#tidemark);
    return (await this.#history).get(namespace) ?? [];
  }

  /** Remembers the version for the next version in this run. */
  async #remember(namespace: string, { refreshId, until, applied }: TableVersion): Promise<void> {
    const history = await this.#history!;
    const before = history.get(namespace) ?? [];
    const others = before.filter((entry) => entry.refreshId !== refreshId || entry.until !== until);
    history.set(namespace, [{ refreshId, until, applied }, ...others]);
  }
}

/** The refreshes of this target by namespace, newest first. */
async function readHistory(tidemark: Tidemark): Promise<Map<string, Entry[]>> {
  const history = new Map<string, Entry[]>();
  let pages = 0;
  const read = async (page: object) => {
    const list = await tidemark.listSyncs({ sync_mode: "full_refresh", ...page });
    return ++pages < HISTORY_PAGES ? list : { ...list, next_cursor: null };
  };
  for await (const { refresh_id: refreshId, sync_timestamp, status, by_namespace } of everyItem(read)) {
    if (!refreshId?.startsWith(PREFIX)) continue;
    for (const namespace of Object.keys(by_namespace)) {
      const entries = history.get(namespace) ?? [];
      entries.push({ refreshId, until: sync_timestamp, applied: status === "success" });
      history.set(namespace, entries);
    }
  }
  return history;
}

const refreshIdOf = (namespace: string, version: string) =>
  PREFIX + hash(JSON.stringify([namespace, version])).slice(0, 48);

const hash = (text: string) => createHash("sha256").update(text).digest("hex");
