import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { digestOf, type SourceRecord } from "@tidemark/client";
import type { Tenant } from "../test-server.ts";

/** One state of a namespace in its source, which a reader must see completely or not at all. */
export interface Version {
  name: string;
  /** The data of each record, by id. */
  data: Map<string, object>;
  /** The ids in the server's order. */
  ids: string[];
  digest: string;
}

export async function versionOf(name: string, records: [id: string, data: object][]): Promise<Version> {
  const data = new Map(records);
  return {
    name,
    data,
    ids: [...data.keys()].sort(),
    digest: await digestOf(records.map(([id, data]): SourceRecord => ({ id, data: { ...data } }))),
  };
}

/** Thrown by a read that ended because the server died. */
class Broken extends Error {}

/** Thrown by a listing that a refresh interrupted. */
class Outdated extends Error {}

/**
 * Clients that constantly read one namespace, each through another endpoint. A client fails if it sees a mixture of
 * versions, a version that is not allowed, or an older version than before.
 */
export class Watcher {
  /** How many reads saw each version. */
  readonly seen = new Map<string, number>();
  #url: string;
  #tenant: Tenant;
  #namespace: string;
  #known: Version[];
  /** The allowed versions in each phase of the test. */
  #allowed: Version[][];
  #stopped = false;
  #mayBreak = false;
  #loops: Promise<void>[];
  /** For each client, resolves when its current read ends. */
  #rounds: PromiseWithResolvers<void>[];

  /** @param versions allowed at first */
  constructor(url: string, tenant: Tenant, namespace: string, versions: Version[]) {
    this.#url = url;
    this.#tenant = tenant;
    this.#namespace = namespace;
    this.#known = [...versions];
    this.#allowed = [versions];
    const reads = [this.#checkExists, this.#readRecords, this.#listRecords, this.#listNamespaces];
    this.#rounds = reads.map(() => Promise.withResolvers());
    this.#loops = reads.map((read, client) => this.#loop(read, client));
    // stop() throws the errors of the clients.
    for (const loop of this.#loops) loop.catch(() => {});
  }

  /** Allows only these versions from now on, oldest first. */
  expect(...versions: Version[]): void {
    for (const version of versions) if (!this.#known.includes(version)) this.#known.push(version);
    this.#allowed.push(versions);
  }

  /** Announces that the server dies: a broken connection then ends its client without a failure. */
  expectDeath(): void {
    this.#mayBreak = true;
  }

  /** Waits until every client has completed another read. @throws the failure of a client */
  async look(): Promise<void> {
    for (let round = 0; round < 2; round++) {
      const rounds = this.#rounds.map(({ promise }) => promise);
      await Promise.race([Promise.all(rounds), Promise.all(this.#loops)]);
    }
  }

  /** Waits until every client has completed another read, and ends. @throws the failure of a client */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  async #loop(read: () => Promise<Version[]>, client: number): Promise<void> {
    let newest = 0;
    for (let last = false; !last; this.#endRound(client)) {
      last = this.#stopped;
      const from = this.#allowed.length - 1;
      let matching: Version[];
      const allowedSince = () => new Set(this.#allowed.slice(from).flat());
      try {
        matching = await read();
      } catch (error) {
        if (error instanceof Broken && this.#mayBreak) return;
        if (!(error instanceof Outdated)) throw error;
        assert.ok(allowedSince().size > 1, "only a refresh makes a listing outdated");
        continue;
      }
      const allowed = allowedSince();
      const possible = matching.map((version) => this.#known.indexOf(version)).sort((a, b) => a - b);
      const now = possible.find((index) => index >= newest && allowed.has(this.#known[index]!));
      const names = matching.map(({ name }) => name).join(" or ");
      assert.ok(now !== undefined, `${read.name} saw ${names || "no whole version"} which is not allowed`);
      newest = now;
      const { name } = this.#known[now]!;
      this.seen.set(name, (this.seen.get(name) ?? 0) + 1);
    }
  }

  #endRound(client: number): void {
    this.#rounds[client]!.resolve();
    this.#rounds[client] = Promise.withResolvers();
  }

  /** Checks a sample of ids, for which every version has another answer. */
  #checkExists = async (): Promise<Version[]> => {
    const ids = this.#known.flatMap(({ ids }) => Array.from({ length: 100 }, () => anyOf(ids)));
    const body = await this.#fetch("/v1/pipeline/check-exists", {
      organization_id: this.#tenant.organizationId,
      vector_store_id: this.#tenant.storeId,
      namespace: this.#namespace,
      ids,
    });
    return this.#known.filter(({ data }) =>
      isDeepStrictEqual(
        body.existing_ids,
        ids.filter((id) => data.has(id)),
      ),
    );
  };

  /** Reads a random record, which only some versions contain. */
  #readRecords = async (): Promise<Version[]> => {
    const id = anyOf(anyOf(this.#known).ids);
    const body = await this.#get("/record", { namespace: this.#namespace, id });
    return this.#known.filter(({ data }) => isDeepStrictEqual(body.data, data.get(id)));
  };

  /** Lists three pages, which belong to one version unless the listing is outdated. */
  #listRecords = async (): Promise<Version[]> => {
    let matching = this.#known;
    let cursor: string | undefined;
    for (let page = 0; page < 3; page++) {
      const body = await this.#get("/records", {
        namespace: this.#namespace,
        limit: "100",
        ...(cursor ? { cursor } : {}),
      });
      if (page > 0 && body.error?.code === "LISTING_OUTDATED") throw new Outdated();
      const listed = (body.data as { id: string; data: object }[]).map(({ id, data }) => [id, data]);
      matching = matching.filter(({ ids, data }) => {
        const expected = ids.slice(page * 100, (page + 1) * 100).map((id) => [id, data.get(id)]);
        return isDeepStrictEqual(listed, expected);
      });
      cursor = body.next_cursor;
    }
    return matching;
  };

  #listNamespaces = async (): Promise<Version[]> => {
    const body = await this.#get("/namespaces", {});
    const listed = body.data.find(({ namespace }: { namespace: string }) => namespace === this.#namespace);
    return this.#known.filter(({ data, digest }) => listed.records === data.size && listed.digest === digest);
  };

  #get(path: string, query: Record<string, string>) {
    const { organizationId, storeId } = this.#tenant;
    const store = `/v1/organizations/${organizationId}/vector-stores/${storeId}`;
    return this.#fetch(`${store}${path}?${new URLSearchParams(query)}`);
  }

  // biome-ignore lint/suspicious/noExplicitAny: answers of every shape
  async #fetch(path: string, body?: object): Promise<any> {
    let answer: { error?: { code: string } };
    try {
      const response = await fetch(this.#url + path, {
        method: body ? "POST" : "GET",
        headers: { "x-api-key": this.#tenant.key, "content-type": "application/json" },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
      answer = (await response.json()) as typeof answer;
    } catch (error) {
      throw new Broken("The connection broke.", { cause: error });
    }
    const { error } = answer;
    assert.ok(!error || ["RESOURCE_NOT_FOUND", "LISTING_OUTDATED"].includes(error.code), error?.code);
    return answer;
  }
}

const anyOf = <T>(list: T[]): T => list[Math.floor(Math.random() * list.length)]!;
