import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startSearching } from "./searching.ts";

const TICKETS = {
  fire: { title: "Printer on fire", body: "The printer in room 4 smokes since noon." },
  toner: { title: "No toner", body: "The printer prints blank pages." },
  coffee: { title: "Coffee machine", body: "It grinds, but there is no coffee." },
};

/** A paragraph of about 200 tokens that shares no words with the queries. */
const filler = (seed: number) =>
  Array.from({ length: 25 }, (_, i) => `Lorem${seed} ipsum${i} dolor sit amet consectetur.`).join(" ");

describe("an answer to a search", () => {
  test("has exactly these members", async (t) => {
    const { put, index, search } = await startSearching(t);
    await put(TICKETS);
    await index();
    const { status, body } = await search("machine");
    assert.equal(status, 200);
    const { score } = body.data[0];
    assert.ok(score > 0);
    assert.deepEqual(body, {
      object: "search_results",
      mode: "lexical",
      data: [
        {
          id: "coffee",
          namespace: "tasks",
          score,
          text: "Coffee machine\nIt grinds, but there is no coffee.",
          synced_at: "2025-11-11T12:00:00.000Z",
        },
      ],
      indexing: { pending: 0 },
    });
  });

  test("is empty for an empty store, and for a query without a matching word", async (t) => {
    const { put, index, search, found } = await startSearching(t);
    const nothing = { object: "search_results", mode: "lexical", data: [], indexing: { pending: 0 } };
    assert.deepEqual((await search("printer")).body, nothing);
    await index();
    assert.deepEqual((await search("printer")).body, nothing);
    await put(TICKETS);
    await index();
    assert.deepEqual(await found("printer"), ["fire", "toner"]);
    assert.deepEqual((await search("walrus")).body, nothing);
    assert.deepEqual((await search("?!")).body, nothing);
  });

  test("counts records that are not searchable yet", async (t) => {
    const { put, index, search } = await startSearching(t);
    await put(TICKETS);
    assert.deepEqual((await search("printer")).body.indexing, { pending: 3 });
    await index();
    assert.deepEqual((await search("printer")).body.indexing, { pending: 0 });
    await put({ fire: { title: "Printer not on fire any more" } });
    assert.ok((await search("printer")).body.indexing.pending > 0);
  });

  test("has one result for each record, with its best chunk", async (t) => {
    const { put, index, search } = await startSearching(t);
    const parts = [
      `# First\n\n${filler(1)}\n\nA walrus.`,
      `# Second\n\n${filler(2)}`,
      `# Third\n\n${filler(3)}\n\nThe walrus and the carpenter met another walrus and its carpenter.`,
    ];
    await put({ long: { title: "Fable", text: parts.join("\n\n") }, short: { title: "A carpenter" } });
    await index();
    const { body } = await search({ query: "walrus carpenter", include: ["chunks"] });
    const [long, short] = body.data;
    assert.deepEqual([body.data.length, long.id, short.id], [2, "long", "short"]);
    assert.match(long.text, /^Fable\n.*met another walrus and its carpenter\.$/s);
    assert.equal(long.chunks.length, 2, "only the chunks that match");
    assert.deepEqual(long.chunks[0], { text: long.text, score: long.score });
    assert.match(long.chunks[1].text, /^Fable\n.*A walrus\./s);
    assert.ok(long.chunks[1].score < long.score);
  });

  test("shows at most ten chunks of a record", async (t) => {
    const { put, index, search, set } = await startSearching(t);
    await set({ chunk_tokens: 32 });
    const text = Array.from({ length: 30 }, (_, i) => `# Day ${i}\n\nWe saw a walrus.`).join("\n\n");
    await put({ diary: { text: `${text}\n\n${filler(1)}` } });
    await index();
    const { body } = await search({ query: "walrus", include: ["chunks"] });
    assert.equal(body.data.length, 1);
    assert.equal(body.data[0].chunks.length, 10);
  });

  test("lists the best record first, and equal scores in a fixed order", async (t) => {
    const { put, index, search, found } = await startSearching(t);
    await put({ b: { title: "zebra" }, a: { title: "zebra" }, c: { title: "zebra zebra" } });
    await put({ a: { title: "zebra" } }, "animals");
    await index();
    const first = await search("zebra");
    const scores = first.body.data.map(({ score }: { score: number }) => score);
    assert.deepEqual(
      scores,
      scores.toSorted((a: number, b: number) => b - a),
    );
    assert.equal(first.body.data[0].id, "c");
    assert.deepEqual((await search("zebra")).body, first.body);
    assert.deepEqual(await found({ query: "zebra", limit: 2 }), (await found("zebra")).slice(0, 2));
  });

  test("weighs words of the title twice", async (t) => {
    const { put, index, found } = await startSearching(t);
    // The records differ only in where each word stands.
    await put({
      a: { title: "Broken glass", body: "scanner" },
      b: { title: "Broken scanner", body: "glass" },
    });
    await index();
    assert.deepEqual(await found("scanner"), ["b", "a"]);
    assert.deepEqual(await found("glass"), ["a", "b"]);
  });

  test("has at most `limit` records, ten by default", async (t) => {
    const { put, index, found } = await startSearching(t);
    await put(Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`r${i}`, { title: `number ${i}` }])));
    await index();
    assert.equal((await found("number")).length, 10);
    for (const limit of [1, 37, 100]) {
      assert.equal(new Set(await found({ query: "number", limit })).size, limit);
    }
  });
});

describe("a search", () => {
  test("searches the named namespaces, or all if the field is absent", async (t) => {
    const { put, index, found } = await startSearching(t);
    for (const namespace of ["one", "two", "three"])
      await put({ [namespace]: { title: "zebra" } }, namespace);
    await index();
    const cases: [namespaces: string[] | undefined, ids: string[]][] = [
      [undefined, ["one", "three", "two"]],
      [["two"], ["two"]],
      [
        ["three", "one", "one"],
        ["one", "three"],
      ],
      [["unknown"], []],
      [["unknown", "two"], ["two"]],
      [[], []],
    ];
    for (const [namespaces, ids] of cases) {
      const body = { query: "zebra", ...(namespaces && { namespaces }) };
      assert.deepEqual((await found(body)).sort(), ids, JSON.stringify(namespaces));
    }
  });

  test("returns the record's data on request", async (t) => {
    const { put, index, search } = await startSearching(t);
    await put(TICKETS);
    await index();
    const members = async (include?: string[]) =>
      Object.keys((await search({ query: "toner", ...(include && { include }) })).body.data[0]).sort();
    const always = ["id", "namespace", "score", "synced_at", "text"];
    assert.deepEqual(await members(), always);
    assert.deepEqual(await members([]), always);
    assert.deepEqual(await members(["data"]), ["data", ...always].sort());
    assert.deepEqual(await members(["chunks", "data"]), ["data", "chunks", ...always].sort());
    const { body } = await search({ query: "toner", include: ["data"] });
    assert.deepEqual(body.data[0].data, TICKETS.toner);
  });

  test("finds a record by its identifier, whatever its case and punctuation", async (t) => {
    const { put, index, found } = await startSearching(t);
    await put({
      "CVE-2025-0282": { title: "Stack overflow", note: "CVE-2025-0282 is exploited." },
      "CVE-2025-0283": { title: "Another overflow", note: "CVE-2025-0283 is not." },
      "CVE-2024-0282": { title: "An older overflow", note: "CVE-2024-0282 was mended in 2025." },
      task: { title: "See task_123", ref: "task_123" },
      other: { title: "See task_124", ref: "task_124" },
      mail: { title: "Write to ada@example.com" },
      version: { title: "Release 10.2.1 of the server" },
    });
    await index();
    for (const query of ["CVE-2025-0282", "cve-2025-0282", "what is CVE-2025-0282?"]) {
      assert.equal((await found(query))[0], "CVE-2025-0282", query);
    }
    assert.equal((await found("task_123"))[0], "task");
    assert.equal((await found("task_124"))[0], "other");
    assert.deepEqual(await found("ada@example.com"), ["mail"]);
    assert.deepEqual(await found("10.2.1"), ["version"]);
  });

  test("finds a record by numbers and dates that its chunks do not show", async (t) => {
    const { put, index, search } = await startSearching(t);
    await put({ a: { title: "Invoice", amount: 48211, due: "2025-12-24", link: "https://example.com/pay" } });
    await index();
    for (const query of ["48211", "2025-12-24"]) {
      const { body } = await search(query);
      assert.deepEqual([body.data.length, body.data[0]?.text], [1, "Invoice"], query);
    }
  });

  test("without embeddings is lexical, warns if hybrid was requested, and rejects semantic", async (t) => {
    const { put, index, search } = await startSearching(t);
    await put(TICKETS);
    for (const isIndexed of [false, true]) {
      if (isIndexed) await index();
      for (const mode of [undefined, "lexical", "hybrid"]) {
        const { status, body } = await search({ query: "toner", ...(mode && { mode }) });
        assert.deepEqual([status, body.mode, body.data.length], [200, "lexical", isIndexed ? 1 : 0]);
        assert.equal("warnings" in body, mode === "hybrid");
        if (mode === "hybrid") assert.match(body.warnings[0], /no embeddings/);
      }
      const { status, body } = await search({ query: "toner", mode: "semantic" });
      assert.equal(status, 422);
      assert.deepEqual(body.error.details.errors, [
        { field: "mode", code: "NOT_AVAILABLE", message: "This store has no embeddings." },
      ]);
    }
  });
});
