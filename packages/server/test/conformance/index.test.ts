import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SegmentBlock } from "../../src/lexical/segment.ts";
import type { Build, RecordVersion, Segment } from "../../src/storage/index-port.ts";
import { engines } from "../engines.ts";
import { BUILD, change, chunkOf, look, SEGMENT } from "../index-rows.ts";
import { openTestLedger } from "../test-ledger.ts";

const upsert = (id: string, data: object = {}) => ({ action: "upsert", id, namespace: "tasks", data });

for (const engine of engines) {
  describe(`${engine.name}: the tables of the index`, () => {
    test("a build is stored and replaced", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const [store, other] = [await ledger.createStore(), await ledger.createStore()];
      const later: Build = {
        ...BUILD,
        build: 2,
        state: "building",
        space: 3,
        nextChunk: 2 ** 40,
        walked: { namespace: "ü", id: "" },
      };
      await change(ledger, store, async (index) => {
        assert.deepEqual(await index.builds(), []);
        await index.putBuild(later);
        await index.putBuild({ ...BUILD, state: "building" });
        await index.putBuild(BUILD);
        assert.deepEqual(await index.builds(), [BUILD, later]);
      });
      assert.deepEqual(await ledger.storage.index.builds(store.storeId), [BUILD, later]);
      assert.deepEqual(await look(ledger, store, (index) => index.activeBuild()), BUILD);
      assert.deepEqual(await ledger.storage.index.builds(other.storeId), []);
      assert.equal(await look(ledger, other, (index) => index.activeBuild()), undefined);
    });

    test("a segment is stored and replaced, and only live ones are searched", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const store = await ledger.createStore();
      const merging: Segment = { ...SEGMENT, segment: 7, state: "merging", makingUntil: 1_700_000_000_000 };
      await change(ledger, store, async (index) => {
        await index.putSegment(1, merging);
        await index.putSegment(1, { ...SEGMENT, state: "merging", bytes: 1 });
        await index.putSegment(1, SEGMENT);
        await index.putSegment(2, { ...SEGMENT, segment: 9, state: "merged" });
        assert.deepEqual(await index.segments(1), [SEGMENT, merging]);
      });
      assert.deepEqual(await ledger.storage.index.segments(store.storeId, 1), [SEGMENT, merging]);
      assert.deepEqual(await look(ledger, store, (index) => index.liveSegments(1)), [SEGMENT]);
      assert.deepEqual(await look(ledger, store, (index) => index.liveSegments(2)), []);
    });

    test("a term's block is the last one whose first term is not greater, by bytes", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const store = await ledger.createStore();
      const block = (firstTerm: string): SegmentBlock => ({
        firstTerm,
        data: Buffer.from(`from ${firstTerm}`),
      });
      await change(ledger, store, async (index) => {
        // The order is that of UTF-8 bytes, which differs from that of languages and of UTF-16.
        await index.addBlocks(1, 1, ["10", "Z", "a b", "a\nc", "a'\"\\,{", "é", "\uffee", "😀"].map(block));
        await index.addBlocks(1, 2, [block("m")]);
        await index.addBlocks(1, 3, [block("a")]);
        await index.addBlocks(2, 1, [block("a")]);
        await index.addBlocks(1, 1, []);
      });
      const blocksOf = async (segments: number[], terms: string[]) => {
        const blocks = await look(ledger, store, (index) => index.blocksOf(1, segments, terms));
        return blocks
          .map(({ segment, term, data }) => `${segment} ${term}: ${Buffer.from(data)}`)
          .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      };
      assert.deepEqual(await blocksOf([1], ["1", "10", "9", "Z", "a", "a'\"\\,{", "b", "z", "ä", "é"]), [
        "1 10: from 10",
        "1 9: from 10",
        "1 Z: from Z",
        "1 a'\"\\,{: from a'\"\\,{",
        "1 a: from Z",
        "1 b: from a'\"\\,{",
        "1 z: from a'\"\\,{",
        "1 ä: from a'\"\\,{",
        "1 é: from é",
      ]);
      assert.deepEqual(await blocksOf([1], ["\uffed", "\uffee", "😀", "🚀"]), [
        "1 \uffed: from é",
        "1 \uffee: from \uffee",
        "1 😀: from 😀",
        "1 🚀: from 😀",
      ]);
      assert.deepEqual(await blocksOf([2, 1, 5], ["l", "mn"]), [
        "1 l: from a'\"\\,{",
        "1 mn: from a'\"\\,{",
        "2 mn: from m",
      ]);
      assert.deepEqual(await blocksOf([], ["a"]), []);
      assert.deepEqual(await blocksOf([1, 2], []), []);
    });

    test("all blocks of a segment are read, in order and complete", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const store = await ledger.createStore();
      const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      const large = new Uint8Array(300_000).map((_, index) => (index * 7919) >> 3);
      const terms = Array.from({ length: 700 }, (_, index) => `term ${1000 + index}`);
      const blocks = terms.map((firstTerm, index) => ({
        firstTerm,
        data: index === 300 ? large : bytes.subarray(0, index % 257),
      }));
      await change(ledger, store, async (index) => {
        await index.addBlocks(1, 1, blocks.slice(350));
        await index.addBlocks(1, 1, blocks.slice(0, 350));
        await index.addBlocks(1, 2, blocks.slice(0, 1));
      });
      const read: SegmentBlock[] = [];
      for (let after: string | null = null; ; after = read.at(-1)!.firstTerm) {
        const page = await ledger.storage.index.blocks(store.storeId, 1, 1, after);
        if (page.length === 0) break;
        read.push(...page);
      }
      assert.deepEqual(
        read.map(({ firstTerm, data }) => ({ firstTerm, data: Buffer.from(data).toString("base64") })),
        blocks.map(({ firstTerm, data }) => ({ firstTerm, data: Buffer.from(data).toString("base64") })),
      );
      const [block] = await look(ledger, store, (index) => index.blocksOf(1, [1], [terms[300]!]));
      assert.equal(Buffer.compare(block!.data, large), 0);
    });

    test("chunks are counted and listed by namespace and by number, separately for each build", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const store = await ledger.createStore();
      await change(ledger, store, async (index) => {
        await index.addChunks(1, [
          ...[0, 1, 2].map((chunk) => chunkOf(chunk, { ordinal: chunk })),
          ...[3, 4].map((chunk) => chunkOf(chunk, { namespace: "notes", id: "ü'\"\\\n" })),
          chunkOf(9, { namespace: "others" }),
        ]);
        await index.addChunks(2, [chunkOf(0, {})]);
      });
      await look(ledger, store, async (index) => {
        assert.equal(await index.countChunks(1, ["tasks"], 100), 3);
        assert.equal(await index.countChunks(1, ["tasks", "notes", "none"], 100), 5);
        assert.equal(await index.countChunks(1, ["tasks", "notes"], 4), 4);
        assert.equal(await index.countChunks(1, [], 4), 0);
        assert.deepEqual((await index.chunksOf(1, ["notes", "tasks"])).sort(), [0, 1, 2, 3, 4]);
        assert.deepEqual(await index.chunksOf(2, ["tasks"]), [0]);
        assert.deepEqual(await index.chunksOf(1, ["none"]), []);
      });
      const live = (from: number, to: number) => ledger.storage.index.liveChunks(store.storeId, 1, from, to);
      assert.deepEqual((await live(1, 9)).sort(), [1, 2, 3, 4]);
      assert.deepEqual(await live(5, 9), []);
    });

    test("chunks of one build are read in the order of the versions", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const store = await ledger.createStore();
      const versionOf = (id: string, version: number, namespace = "tasks") => ({ namespace, id, version });
      await change(ledger, store, async (index) => {
        await index.addChunks(1, [
          ...[1, 0, 2].map((ordinal) => chunkOf(2 - ordinal, { ordinal, text: `\n'"\\ ${ordinal}` })),
          ...[chunkOf(3, { version: 2 }), chunkOf(4, { namespace: "notes" }), chunkOf(5, { id: "b" })],
        ]);
        await index.addChunks(2, [chunkOf(0, {})]);
      });
      const read = (versions: RecordVersion[]) => ledger.storage.index.chunks(store.storeId, 1, versions);
      assert.deepEqual(
        await read([versionOf("b", 1), versionOf("c", 1), versionOf("a", 1), versionOf("a", 3)]),
        [
          { ...versionOf("b", 1), ordinal: 0, text: "text 5" },
          ...[0, 1, 2].map((ordinal) => ({ ...versionOf("a", 1), ordinal, text: `\n'"\\ ${ordinal}` })),
        ],
      );
      assert.deepEqual(await read([]), []);
    });

    test("chunks of versions are removed from every build, and counted", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const store = await ledger.createStore();
      const key = { namespace: "tasks", id: "a" };
      await change(ledger, store, async (index) => {
        for (const build of [1, 2]) await index.putBuild({ ...BUILD, build });
        await index.addChunks(1, [
          ...[0, 1].map((chunk) => chunkOf(chunk, { version: 1, terms: 10 + chunk })),
          chunkOf(2, { version: 2 }),
          chunkOf(3, { version: 1, id: "b", terms: 100 }),
          chunkOf(4, { version: 1, namespace: "notes", terms: 1000 }),
        ]);
        await index.addChunks(2, [chunkOf(7, { version: 1, terms: 5 })]);
        const versions = (build: number) =>
          index.versionsIn(
            build,
            [1, 2, 3].map((version) => ({ ...key, version })),
          );
        assert.deepEqual(await versions(1), new Set([1, 2]));
        assert.deepEqual(await versions(2), new Set([1]));

        const dropped = await index.dropChunks([
          { ...key, version: 1 },
          { ...key, version: 3 },
          { ...key, id: "b", version: 1 },
        ]);
        assert.deepEqual(dropped.get(1), { chunks: 3, terms: 121 });
        assert.deepEqual(dropped.get(2), { chunks: 1, terms: 5 });
        assert.deepEqual(await versions(1), new Set([2]));
        assert.equal((await index.dropChunks([])).get(1)?.chunks ?? 0, 0);
      });
      assert.deepEqual((await ledger.storage.index.liveChunks(store.storeId, 1, 0, 100)).sort(), [2, 4]);
    });

    test("a vector is stored once for each text and space, under one number", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const [store, other] = [await ledger.createStore(), await ledger.createStore()];
      const vector = (hash: string, ...embedding: number[]) => ({
        hash,
        embedding: new Float32Array(embedding),
      });
      await change(ledger, store, async (index) => {
        await index.addVectors(1, [vector("a", 1, 0, 0), vector("b", 0, 1, 0), vector("a", 1, 0, 0)]);
        const first = await index.findVectors(1, ["b", "a", "c"]);
        assert.deepEqual([...first.keys()].sort(), ["a", "b"]);
        await index.addVectors(1, [vector("b", 0, 0, 1), vector("c", 0, 0, 1)]);
        await index.addVectors(2, [vector("a", 1, 0)]);
        await index.addVectors(2, []);
        const second = await index.findVectors(1, ["a", "b", "c"]);
        assert.equal(new Set(second.values()).size, 3);
        assert.deepEqual([second.get("a"), second.get("b")], [first.get("a"), first.get("b")]);
      });
      const ahead = Array.from({ length: 250 }, (_, n) => vector(`ahead ${n}`, 0, 1, 0));
      await ledger.storage.index.addVectors(store.storeId, 1, [...ahead, vector("a", 0, 0, 1)]);
      await ledger.storage.index.addVectors(store.storeId, 1, ahead);
      const hashes = ["a", "b", "c", ...ahead.map(({ hash }) => hash)];
      const all = await ledger.storage.index.findVectors(store.storeId, 1, hashes);
      assert.equal(new Set(all.values()).size, 253);
      assert.equal((await ledger.storage.index.findVectors(store.storeId, 1, ["a", "c", "x"])).size, 2);
      assert.equal((await ledger.storage.index.findVectors(store.storeId, 2, ["a", "c"])).size, 1);
      assert.equal((await ledger.storage.index.findVectors(other.storeId, 1, ["a"])).size, 0);
      assert.equal((await ledger.storage.index.findVectors(store.storeId, 1, [])).size, 0);
    });

    test("contents are read by version, without those that are gone", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const store = await ledger.createStore();
      await store.sync({ operations: [upsert("a", { n: "\n'\u2028" }), upsert("b")] });
      const entries = await ledger.storage.index.claim(store.storeId, 1000, 2000, 10);
      await store.sync({ operations: [{ action: "delete", id: "b", namespace: "tasks" }] });
      const versions = entries.map(({ version }) => version);
      const contents = await ledger.storage.index.contents(store.storeId, [...versions, 5]);
      assert.deepEqual([...contents], [[versions[0], '{"data":{"n":"\\n\'\u2028"}}']]);
    });
  });
}
