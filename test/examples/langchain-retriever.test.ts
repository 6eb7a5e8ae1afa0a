import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { inspect } from "node:util";
import { TidemarkError } from "@tidemark/client";
import {
  TidemarkRetriever,
  type TidemarkRetrieverInput,
} from "../../examples/langchain-retriever/tidemark-retriever.ts";
import { codeBlocks } from "../../packages/server/test/docs/markdown.ts";
import { copyExample, runShell, runShown, startExampleStore } from "./example-store.ts";

const DATA = {
  ticket_1: { subject: "Printer on fire", status: "open" },
  ticket_2: { subject: "The printer on the second floor has no toner", status: "solved" },
  ticket_3: { subject: "Keyboard has no any key", status: "open" },
};

/** Starts a store with three searchable tickets, and makes retrievers for it. */
async function startTickets(t: TestContext) {
  const store = await startExampleStore(t);
  const { pipeline, reader } = store;
  const put = async (records: Record<string, object>, namespace = "helpdesk_tickets") => {
    const { sync_id } = await pipeline.sync({
      sync_mode: "incremental",
      sync_timestamp: new Date().toISOString(),
      operations: Object.entries(records).map(([id, data]) => ({
        action: "upsert",
        id,
        namespace,
        data: data as Record<string, unknown>,
      })),
    });
    return sync_id!;
  };
  await reader.search({ query: "printer", after_sync: await put(DATA) });
  const retrieve = (query: string, options?: TidemarkRetrieverInput) =>
    new TidemarkRetriever(reader, options).invoke(query);
  const ids = async (query: string, options?: TidemarkRetrieverInput) =>
    (await retrieve(query, options)).map(({ metadata }) => metadata.id);
  return { ...store, put, retrieve, ids };
}

test("the LangChain.js retriever", async (t) => {
  const { environment, reader, put, retrieve, ids } = await startTickets(t);

  await t.test("a document has a record's best chunk and the record's metadata", async () => {
    const documents = await retrieve("printer fire");
    const { data } = await reader.search({ query: "printer fire" });
    assert.equal(documents.length, 2);
    const [{ pageContent, metadata }] = documents as [(typeof documents)[0]];
    const { score, synced_at, text } = data[0]!;
    assert.match(pageContent, /Printer on fire/);
    assert.equal(pageContent, text);
    assert.deepEqual(metadata, {
      id: "ticket_1",
      namespace: "helpdesk_tickets",
      score,
      synced_at,
      data: DATA.ticket_1,
    });

    const own = new TidemarkRetriever({
      url: environment.TIDEMARK_URL!,
      apiKey: environment.TIDEMARK_READER_KEY!,
      organizationId: environment.TIDEMARK_ORGANIZATION!,
      vectorStoreId: environment.TIDEMARK_STORE!,
    });
    assert.deepEqual(await own.invoke("printer fire"), documents, "the retriever creates its own client");
    const shown = inspect(own, { depth: 9 }) + JSON.stringify(own);
    assert.ok(!shown.includes(environment.TIDEMARK_READER_KEY!), "the key is not shown");
  });

  await t.test("the options are those of a search", async () => {
    assert.deepEqual(await ids("printer", { k: 1 }), ["ticket_1"]);
    assert.deepEqual(await ids("printer", { filter: { status: "solved" } }), ["ticket_2"]);
    assert.deepEqual(await ids("printer", { namespaces: ["pages"] }), []);
    assert.deepEqual(await ids("printer", { mode: "lexical", namespaces: ["helpdesk_tickets"] }), [
      "ticket_1",
      "ticket_2",
    ]);
    const five = Object.fromEntries([1, 2, 3, 4, 5].map((n) => [`page_${n}`, { title: `Walrus ${n}` }]));
    const afterSync = await put(five, "pages");
    assert.equal(
      (await ids("walrus", { afterSync })).length,
      4,
      "the search waits for the sync, and k is 4 by default",
    );
  });

  await t.test("errors are thrown, and LangChain's callbacks receive them", async () => {
    const is = (code: string) => (error: unknown) => error instanceof TidemarkError && error.code === code;
    await assert.rejects(retrieve("printer", { mode: "semantic" }), is("VALIDATION_ERROR"));
    await assert.rejects(retrieve(""), is("VALIDATION_ERROR"));
    const unknown = { afterSync: "sync_unknown", afterSyncTimeoutMs: 0 };
    await assert.rejects(retrieve("printer", unknown), TidemarkError);

    const received: unknown[] = [];
    const callbacks = [
      {
        handleRetrieverEnd: (documents: unknown[]) => void received.push(documents.length),
        handleRetrieverError: (error: unknown) => void received.push(error),
      },
    ];
    await new TidemarkRetriever(reader).invoke("printer", { callbacks });
    const withUnknownKey = new TidemarkRetriever(
      {
        url: environment.TIDEMARK_URL!,
        apiKey: "tdm_r_unknown",
        organizationId: environment.TIDEMARK_ORGANIZATION!,
        vectorStoreId: environment.TIDEMARK_STORE!,
      },
      { callbacks },
    );
    await assert.rejects(withUnknownKey.invoke("printer"), is("AUTHENTICATION_REQUIRED"));
    assert.equal(received[0], 2);
    assert.ok(is("AUTHENTICATION_REQUIRED")(received[1]));
  });

  await t.test("the chain turns a question into a prompt with records", async () => {
    const command = 'node examples/langchain-retriever/chain.ts "Which printer is on fire?"';
    for (const file of ["langchain-retriever/README.md", "langchain-retriever/chain.ts"]) {
      const { code, stdout, stderr } = await runShown(file, command, environment);
      assert.deepEqual([code, stderr], [0, ""]);
      const [system, records, human] = stdout.split(/\n\n(?=\[|Human)/);
      assert.match(system!, /^System: Answer from these records alone/);
      assert.match(records!, /^\[helpdesk_tickets\/ticket_1\]\nPrinter on fire/);
      assert.match(stdout, /\[helpdesk_tickets\/ticket_2\]/);
      assert.match(stdout, /\nHuman: Which printer is on fire\?\n$/);
      assert.ok(human);
    }
  });

  await t.test(
    "the README's example runs next to the retriever as written, except for host and key",
    async (t) => {
      const folder = await copyExample(t, "langchain-retriever");
      const [code] = codeBlocks("examples/langchain-retriever/README.md", "ts");
      await writeFile(
        join(folder, "example.ts"),
        code!
          .replace("http://127.0.0.1:8787", environment.TIDEMARK_URL!)
          .replace("YOUR_READER_KEY", environment.TIDEMARK_READER_KEY!)
          .replace("org_acme", environment.TIDEMARK_ORGANIZATION!)
          .replace("vs_examples", environment.TIDEMARK_STORE!),
      );
      const { stdout, stderr } = await runShell("node example.ts", {}, folder);
      assert.equal(stderr, "");
      assert.match(stdout, /^ticket_1 [\d.]+ Printer on fire\n/);
    },
  );
});
