import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { formatDateTime } from "@tidemark/protocol/timestamps";
import { openCommands } from "../../src/commands.ts";
import { readConfig } from "../../src/config.ts";
import { openStorage } from "../../src/storage/open.ts";
import { readRecords } from "../model/ledger-rows.ts";
import { createTenant, type Tenant } from "../test-server.ts";

/** The records of a pusher's namespaces: namespace and id, with the number of the last batch that wrote them. */
type Records = Map<string, number>;

interface Batch {
  sync_mode: "incremental" | "full_refresh";
  namespaces?: string[];
  operations: { action: "upsert" | "delete"; namespace: string; id: string; data?: object }[];
}

export interface PushAnswer {
  status: number;
  retryAfter: string | null;
  body: unknown;
}

/** Asserts that an answer is the 503 of a database that cannot be used right now. */
export function assertUnavailable(answer: PushAnswer | undefined): void {
  assert.equal(answer?.status, 503, JSON.stringify(answer?.body));
  assert.match(answer.retryAfter ?? "", /^[1-9]\d*$/);
  const { error } = answer.body as { error: { code: string; details: { outcome: string } } };
  assert.equal(error.code, "SERVICE_UNAVAILABLE");
  assert.match(error.details.outcome, /^(not_applied|unknown)$/);
}

const keyOf = (namespace: string, id: string) => `${namespace} ${id}`;

/**
 * A client that syncs batches into namespaces of its own. It knows their records after the last acknowledged batch, and
 * also their records if a batch without an answer was applied.
 */
export class Pusher {
  acknowledged = 0;
  /** Batches without an answer that turned out to be applied, or not. */
  unanswered = { applied: 0, absent: 0 };
  #target: { organization_id: string; vector_store_id: string };
  #key: string;
  #namespaces: string[];
  #deletes: boolean;
  #filler: string;
  #batches = 0;
  #startedAt = BigInt(Date.now()) * 1_000_000n;
  #records: Records = new Map();
  #unsure: Records | undefined;

  /** @param options.deletes false: it only adds records */
  constructor(store: Tenant, name: string, { deletes = true, fillerBytes = 500 } = {}) {
    this.#target = { organization_id: store.organizationId, vector_store_id: store.storeId };
    this.#key = store.key;
    this.#deletes = deletes;
    // Random text, which no engine can compress.
    this.#filler = randomBytes(fillerBytes / 2).toString("hex");
    this.#namespaces = [`${name}-one`, `${name}-two`, `${name}-refreshed`];
  }

  /**
   * Syncs until an answer is not 200, or until there are enough batches.
   * @returns the last answer; undefined if the connection broke
   */
  async push(url: string, isEnough = () => false): Promise<PushAnswer | undefined> {
    for (;;) {
      const answer = await this.pushOnce(url);
      if (answer?.status !== 200 || isEnough()) return answer;
    }
  }

  /** Sends one batch. */
  async pushOnce(url: string): Promise<PushAnswer | undefined> {
    const number = this.#batches++;
    const batch = this.#batch(number);
    const after = this.#applied(batch, number);
    const sync_timestamp = formatDateTime(this.#startedAt + BigInt(number));
    this.#unsure = after;
    try {
      const response = await fetch(`${url}/v1/pipeline/sync`, {
        method: "POST",
        headers: { "x-api-key": this.#key, "content-type": "application/json" },
        body: JSON.stringify({ ...this.#target, sync_timestamp, ...batch }),
      });
      const body = (await response.json()) as { error?: { details?: { outcome?: string } } };
      if (response.status === 200) {
        this.acknowledged++;
        this.#records = after;
      }
      if (response.status === 200 || body.error?.details?.outcome === "not_applied") this.#unsure = undefined;
      return { status: response.status, retryAfter: response.headers.get("retry-after"), body };
    } catch {
      return undefined;
    }
  }

  /**
   * Checks the stored records: every acknowledged batch is whole, and an unanswered one is whole or absent.
   */
  async check(stored: Records, url: string): Promise<void> {
    const own = new Map([...stored].filter(([key]) => this.#namespaces.includes(key.split(" ")[0]!)));
    const asked = new Set([...this.#records.keys(), ...(this.#unsure?.keys() ?? [])]);
    if (this.#unsure && sameRecords(own, this.#unsure)) {
      this.unanswered.applied++;
      this.#records = this.#unsure;
    } else if (this.#unsure) this.unanswered.absent++;
    this.#unsure = undefined;
    assert.deepEqual(
      own,
      this.#records,
      "the ledger has the acknowledged batches, and perhaps one more whole batch",
    );
    for (const namespace of this.#namespaces) {
      const ids = [...asked].flatMap((key) => (key.startsWith(`${namespace} `) ? [key.split(" ")[1]!] : []));
      const response = await fetch(`${url}/v1/pipeline/check-exists`, {
        method: "POST",
        headers: { "x-api-key": this.#key, "content-type": "application/json" },
        body: JSON.stringify({ ...this.#target, namespace, ids: ids }),
      });
      assert.equal(response.status, 200);
      const { existing_ids } = (await response.json()) as { existing_ids: string[] };
      assert.deepEqual(
        existing_ids,
        ids.filter((id) => own.has(keyOf(namespace, id))),
      );
    }
  }

  /** Makes new and changed records in two namespaces, deletes of old ones, and refreshes. */
  #batch(number: number): Batch {
    const [one, two, refreshed] = this.#namespaces as [string, string, string];
    const data = { number, filler: this.#filler };
    const size = 50 + Math.floor(Math.random() * 150);
    const ids = Array.from({ length: size }, (_, index) => `${number}-${index}`);
    if (this.#deletes && number % 5 === 4) {
      const namespaces = number % 2 ? [refreshed] : [refreshed, two];
      const operations = ids.map((id) => ({ action: "upsert" as const, namespace: refreshed, id, data }));
      return { sync_mode: "full_refresh", namespaces, operations };
    }
    const operations: Batch["operations"] = ids.map((id, index) => ({
      action: "upsert",
      namespace: index % 2 ? one : two,
      id,
      data,
    }));
    for (let index = 0; index < 10; index++) {
      operations.push({ action: "upsert", namespace: one, id: `fixed-${index}`, data });
      operations.push({ action: "upsert", namespace: refreshed, id: `fixed-${index}`, data });
    }
    for (const [key, said] of this.#deletes ? this.#records : []) {
      const [namespace, id] = key.split(" ") as [string, string];
      if (said < number - 2 && !id.startsWith("fixed-")) operations.push({ action: "delete", namespace, id });
    }
    return { sync_mode: "incremental", operations };
  }

  #applied({ operations, namespaces = [] }: Batch, number: number): Records {
    const after = new Map([...this.#records].filter(([key]) => !namespaces.includes(key.split(" ")[0]!)));
    for (const { action, namespace, id } of operations) {
      if (action === "upsert") after.set(keyOf(namespace, id), number);
      else after.delete(keyOf(namespace, id));
    }
    return after;
  }
}

function sameRecords(one: Records, other: Records): boolean {
  return one.size === other.size && [...one].every(([key, number]) => other.get(key) === number);
}

/** Creates a store with a connector in a database that no server uses yet. */
export async function createTarget(databaseUrl: string): Promise<Tenant> {
  const storage = await openStorage(databaseUrl);
  const target = await createTenant(openCommands(storage, readConfig({})));
  await storage.close();
  return target;
}

/** The records of a store, read from the database directly. Also checks the ledger's invariants. */
export async function readStored(databaseUrl: string, storeId: string): Promise<Records> {
  const storage = await openStorage(databaseUrl);
  try {
    const stores = await storage.read((sql) =>
      sql.all("SELECT id FROM vector_stores WHERE id = $1", [storeId]),
    );
    assert.equal(stores.length, 1, "this is the database that the store was made in");
    const records = await readRecords(storage, storeId);
    return new Map(
      records.map(({ namespace, id, content }) => [
        keyOf(namespace, id),
        (content as { data: { number: number } }).data.number,
      ]),
    );
  } finally {
    await storage.close();
  }
}
