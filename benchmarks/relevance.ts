/**
 * Measures how well rankings find the documents that people judged relevant: nDCG@10 on test collections in BEIR's
 * format. A collection is a folder with corpus.jsonl ({_id, title, text}), queries.jsonl ({_id, text}) and
 * qrels/test.tsv (query-id, corpus-id, score under a header line). Tidemark is compared with SQLite's FTS5.
 *
 *   node benchmarks/relevance.ts [--language=NAME] [--losses] FOLDER …
 *
 * `--losses` lists the queries for which the last ranking is furthest behind the first.
 */

import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Language } from "@tidemark/protocol/management";
import { analyzerFor, queryAnalyzerFor } from "../packages/server/src/text/tokens.ts";
import { type BenchmarkEngine, openPostgresEngine, openSqliteEngine } from "./engines.ts";
import { ServerProcess } from "./server-process.ts";

/** Documents of one sync. */
const SYNC_DOCUMENTS = 5000;
/** How many ranks count. */
const DEPTH = 10;

interface Document {
  id: string;
  title: string;
  text: string;
}

interface TestCollection {
  name: string;
  language: Language;
  documents: Document[];
  /** The queries with at least one document that was judged relevant. */
  queries: { id: string; text: string; judgements: Map<string, number> }[];
}

/** A search engine that is measured. */
interface Ranking {
  name: string;
  open(collection: TestCollection): Promise<Searcher>;
}

interface Searcher {
  /** The ids of the best documents, best first. */
  search(query: string, limit: number): Promise<string[]>;
  close(): Promise<void>;
}

const RANKINGS: Ranking[] = [
  { name: "FTS5, porter", open: openFts5 },
  { name: "BM25 in memory", open: openBm25 },
  { name: "Tidemark, SQLite", open: (collection) => openTidemark(collection, openSqliteEngine) },
  { name: "Tidemark, PostgreSQL", open: (collection) => openTidemark(collection, openPostgresEngine) },
];

const options = process.argv.slice(2).filter((arg) => arg.startsWith("--"));
const folders = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
const language = (options.find((option) => option.startsWith("--language="))?.split("=")[1] ??
  "english") as Language;

printRow(["collection", "documents", "queries", ...RANKINGS.map(({ name }) => name)]);
printRow(["---", "---", "---", ...RANKINGS.map(() => "---")]);
for (const folder of folders) {
  const collection = readCollection(folder, language);
  const gains: number[][] = [];
  for (const ranking of RANKINGS) gains.push(await measure(ranking, collection));
  printRow([
    collection.name,
    `${collection.documents.length}`,
    `${collection.queries.length}`,
    ...gains.map((values) => mean(values).toFixed(4)),
  ]);
  if (options.includes("--losses")) printLosses(collection, gains[0]!, gains.at(-1)!);
}

/** nDCG@10 of each query. */
async function measure(ranking: Ranking, collection: TestCollection): Promise<number[]> {
  const searcher = await ranking.open(collection);
  const values: number[] = [];
  for (const { text, judgements } of collection.queries) {
    values.push(ndcg(await searcher.search(text, DEPTH), judgements));
  }
  await searcher.close();
  return values;
}

/** Like trec_eval's ndcg_cut: the gain is the judgement, divided by the rank's logarithm to base 2. */
function ndcg(ranked: string[], judgements: Map<string, number>): number {
  const ideal = [...judgements.values()].sort((a, b) => b - a);
  return gainOf(ranked.map((id) => judgements.get(id) ?? 0)) / gainOf(ideal);
}

function gainOf(gains: number[]): number {
  return gains.slice(0, DEPTH).reduce((sum, gain, rank) => sum + Math.max(gain, 0) / Math.log2(rank + 2), 0);
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function readCollection(folder: string, language: Language): TestCollection {
  const judgements = new Map<string, Map<string, number>>();
  for (const line of readLines(join(folder, "qrels/test.tsv")).slice(1)) {
    const [query, document, score] = line.split("\t") as [string, string, string];
    if (!judgements.has(query)) judgements.set(query, new Map());
    judgements.get(query)!.set(document, Number(score));
  }
  const rows = (name: string): { _id: string; title?: string; text: string }[] =>
    readLines(join(folder, name)).map((line) => JSON.parse(line));
  return {
    name: basename(folder),
    language,
    documents: rows("corpus.jsonl").map(({ _id, title, text }) => ({ id: _id, title: title ?? "", text })),
    queries: rows("queries.jsonl")
      .map(({ _id, text }) => ({
        id: _id,
        text,
        judgements: judgements.get(_id) ?? new Map<string, number>(),
      }))
      .filter(({ judgements }) => [...judgements.values()].some((score) => score > 0)),
  };
}

function readLines(file: string): string[] {
  const lines = readFileSync(file, "utf8").split(/\r?\n/);
  return lines.filter((line) => line !== "");
}

/** SQLite's full-text search for any of the query's words in title and text, ranked by bm25(). */
async function openFts5({ documents }: TestCollection): Promise<Searcher> {
  const database = new DatabaseSync(":memory:");
  database.exec("CREATE VIRTUAL TABLE documents USING fts5(title, text, tokenize = 'porter unicode61')");
  const insert = database.prepare("INSERT INTO documents (rowid, title, text) VALUES (?, ?, ?)");
  documents.forEach(({ title, text }, index) => {
    insert.run(index, title, text);
  });
  const select = database.prepare(
    "SELECT rowid FROM documents WHERE documents MATCH ? ORDER BY bm25(documents), rowid LIMIT ?",
  );
  return {
    search: async (query, limit) => {
      const words = query.match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
      if (words.length === 0) return [];
      const rows = select.all(words.map((word) => `"${word}"`).join(" OR "), limit);
      return rows.map(({ rowid }) => documents[Number(rowid)]!.id);
    },
    close: async () => database.close(),
  };
}

/** Plain BM25 over Tidemark's terms. */
async function openBm25({ documents, language }: TestCollection): Promise<Searcher> {
  const [k1, b] = [1.2, 0.75];
  const analyze = await analyzerFor(language);
  const analyzeQuery = await queryAnalyzerFor(language);
  const lengths: number[] = [];
  const postings = new Map<string, { documents: number[]; frequencies: number[] }>();
  documents.forEach(({ title, text }, document) => {
    const terms = analyze(`${title}\n${text}`);
    lengths.push(terms.length);
    for (const term of terms) {
      let posting = postings.get(term);
      if (!posting) {
        posting = { documents: [], frequencies: [] };
        postings.set(term, posting);
      }
      const last = posting.documents.length - 1;
      if (posting.documents[last] === document) posting.frequencies[last]!++;
      else {
        posting.documents.push(document);
        posting.frequencies.push(1);
      }
    }
  });
  const meanLength = mean(lengths);

  function search(query: string, limit: number): string[] {
    const scores = new Float64Array(documents.length);
    for (const term of analyzeQuery(query)) {
      const posting = postings.get(term);
      if (!posting) continue;
      const matches = posting.documents.length;
      const idf = Math.log(1 + (documents.length - matches + 0.5) / (matches + 0.5));
      posting.documents.forEach((document, at) => {
        const frequency = posting.frequencies[at]!;
        const norm = k1 * (1 - b + (b * lengths[document]!) / meanLength);
        scores[document]! += (idf * frequency * (k1 + 1)) / (frequency + norm);
      });
    }
    const best = [...scores.keys()].filter((document) => scores[document]! > 0);
    best.sort((a, b) => scores[b]! - scores[a]! || a - b);
    return best.slice(0, limit).map((document) => documents[document]!.id);
  }
  return { search: async (query, limit) => search(query, limit), close: async () => {} };
}

function printLosses(collection: TestCollection, first: number[], last: number[]): void {
  const losses = collection.queries.map(({ text }, index) => ({ text, loss: first[index]! - last[index]! }));
  losses.sort((a, b) => b.loss - a.loss);
  for (const { text, loss } of losses.slice(0, 20)) console.log(`  -${loss.toFixed(3)}  ${text}`);
}

function printRow(cells: string[]): void {
  console.log(`| ${cells.join(" | ")} |`);
}

/** A real Tidemark server and store. */
async function openTidemark(
  { documents, language }: TestCollection,
  openEngine: () => Promise<BenchmarkEngine>,
): Promise<Searcher> {
  const engine = await openEngine();
  const server = new ServerProcess(await engine.createDatabase());
  await server.start();
  await server.createTenant({ language });
  for (let from = 0; from < documents.length; from += SYNC_DOCUMENTS) {
    const batch = documents.slice(from, from + SYNC_DOCUMENTS);
    const records = batch.map(({ id, title, text }) => ({ id, data: { title, text } }));
    await server.post("sync", server.syncBody("documents", records));
  }
  await server.untilIndexed();
  return {
    async search(query, limit) {
      const { answer } = await server.search({ query, limit, mode: "lexical" });
      return (answer.data as { id: string }[]).map(({ id }) => id);
    },
    async close() {
      await server.end();
      await engine.close();
    },
  };
}
