import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { commandLine } from "../../packages/server/src/cli/program.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const CODE = "packages/*/src/**/*.{ts,sql}";
/** These name words of others, or old names: the glossary, the changelog, and the reading of older exports. */
const PROSE = "{docs/**/*.md,*.md,packages/*/README.md,examples/**/*.md}";
const NOT_READ = /node_modules|^docs\/internals\/glossary\.md$|^CHANGELOG\.md$|transfer\/tables\.ts$/;

/** Words that were replaced: what to say now, and how to find them. Names are looked for in code alone. */
const RETIRED: { say: string; anywhere?: RegExp; inCode?: RegExp }[] = [
  {
    say: "chunk, chunker",
    // Not the prefix "passage: " of the E5 models.
    anywhere: /\bpassages?\b(?!: )|(?<!\b(?:short|stay|be) )\bcut into (?:parts|pieces)\b|\bcutters?\b/i,
    inCode: /\b(?:Draft|Cut|StoredPassage|cutRecords?)\b|cut-records/,
  },
  {
    say: "index queue, queue entry, enqueue, queued_at",
    anywhere: /\bdirty(?:[ _]contents|[ _]marks?)\b|\bmarked_at\b|\bpending marks?\b/i,
    inCode: /\b(?:DirtyMark|Mark|markDirty|MARK_DIRTY|markedAt|unmark)\b/,
  },
  { say: "claim", anywhere: /\btak(?:e|es|en|ing) (?:the |some )?marks\b/i },
  { say: "defer, Deferral", anywhere: /\bput(?:s|ting)? off\b|\bput-off\b/i, inCode: /\b(?:putOff|PutOff)/ },
  {
    say: "failed (index), abort (refresh), discard (import)",
    anywhere: /\bg(?:ive|ives|iving|iven|ave)[ _-](?:\w+ ){0,4}?up\b/i,
    inCode: /giv(?:e|en)Up|GIVEN_UP|given-up/,
  },
  {
    say: "run exception, runExceptions",
    anywhere: /\brefresh_run_marks\b/,
    inCode: /\b(?:RunMark|runMarks)\b/,
  },
  {
    say: "carried into a generation: carriedIn, carried_in, Carry",
    anywhere: /\b(?:also_)?kept_by\b/,
    inCode: /\b(?:keptBy|alsoKeptBy|Keep)\b/,
  },
  { say: "saveAnswer, saveSync", inCode: /\bkeep(?:Answer|Sync)\b/ },
  { say: "staged row, open run", anywhere: /\bh(?:eld|olds?) ready\b|\bready (?:rows?|runs?)\b/i },
  { say: "endRuns, end", inCode: /\bcloseRuns\b|\bclose\(run\b/ },
  {
    say: "store lock, lockStore, store-lock.ts",
    anywhere: /\bstore's turn\b|\bin (?:its|their|the) turn\b/i,
    inCode: /\btakeTurn\b|\bturns\.ts\b/,
  },
  { say: "readNamespaces", anywhere: /\blockNamespaces\b/ },
  { say: "retriever (lexical, semantic), retrievers.ts", anywhere: /\blegs?\b/i },
  { say: "RecordSum", inCode: /(?:interface|type|:|,|\{|<) Sum\b(?! of)|\bSum(?:\[\]|,|>)/ },
  { say: "withNewest", inCode: /\b(?:function seen|seen\()/ },
  { say: "changeOf, CHANGES, COUNTED_CHANGES", inCode: /\boutcome\(|\b(?:COUNTED_)?OUTCOMES\b/ },
  {
    say: "runMaintenance, maintenance",
    anywhere: /\bhouse-?keeping\b|\bkeeps? house\b/i,
    inCode: /\bkeepHouse\b|\bHousekeeping/,
  },
  { say: "maintain, maintainVectors", anywhere: /\btend(?:s|ed|ing)?\b(?! to)/i, inCode: /\btendVectors\b/ },
  {
    say: "in sync (digests equal), up to date (the index)",
    anywhere:
      /\b(?:keep|keeps|kept|keeping|bring|brings|is|are|was|be|becomes?|not) (?:\w+ ){0,4}?level\b(?! of)|\blevel with\b|\bkeep-level\b/i,
    inCode: /\b(?:isLevel|levelIndexed|IndexLevel|NOT_LEVEL)\b|\blevel: (?:boolean|true|false)|index-level/,
  },
  {
    say: "a name that says what the value is: rows, build, entry",
    inCode: /\b(?:const|let) (?:of|one|some|mine|again|found|other|given|wanted)\b/,
  },
];

/** Every line of some texts that has a retired word, with the word to take in its place. */
function retiredIn(texts: Iterable<[where: string, text: string]>, isCode: boolean): string[] {
  const found: string[] = [];
  for (const [where, text] of texts) {
    for (const [at, line] of text.split("\n").entries()) {
      for (const { say, anywhere, inCode } of RETIRED) {
        const [word] = anywhere?.exec(line) ?? (isCode ? inCode?.exec(line) : undefined) ?? [];
        if (word !== undefined) found.push(`${where}:${at + 1}: "${word}"; say: ${say}`);
      }
    }
  }
  return found;
}

function filesOf(pattern: string): [path: string, text: string][] {
  const paths = globSync(pattern, { cwd: ROOT }).map((path) => path.replaceAll("\\", "/"));
  return paths
    .filter((path) => !NOT_READ.test(path))
    .map((path) => [path, readFileSync(ROOT + path, "utf8")]);
}

/** The help of a command and of all below it. */
function helpOf(command: Command, name: string): [name: string, help: string][] {
  const below = command.commands.flatMap((child) => helpOf(child, `${name} ${child.name()}`));
  return [[name, command.helpInformation()], ...below];
}

test("no retired word comes back in the code", () => {
  const files = filesOf(CODE);
  assert.ok(files.length > 200, `only ${files.length} files were found`);
  assert.deepEqual(retiredIn(files, true), []);
});

test("no retired word comes back in the documents", () => {
  const files = filesOf(PROSE);
  assert.ok(files.length > 30, `only ${files.length} files were found`);
  assert.deepEqual(retiredIn(files, false), []);
});

test("no retired word comes back in the help of a command", () => {
  const help = helpOf(commandLine(), "tidemark");
  assert.ok(help.length > 25, `only ${help.length} commands were found`);
  assert.deepEqual(retiredIn(help, false), []);
});

test("each retired word is found", () => {
  const examples = [
    "Search shows the best passage.",
    "INSERT INTO dirty_contents",
    "It takes marks of a store.",
    "An entry is put off.",
    "The index gave some of them up.",
    "refresh_run_marks",
    "kept_by",
    "a row that is held ready",
    "Publish in the store's turn.",
    "lockNamespaces",
    "one leg of the search",
    "housekeeping",
    "tend the vectors",
    "keeps a vector store level with its sources",
  ];
  for (const example of examples) {
    assert.equal(retiredIn([["example", example]], false).length > 0, true, example);
  }
  const kept = [
    "The log level is debug.",
    "Chunks tend to be short.",
    "The legacy API",
    "Marks and summer",
    "A giver",
  ];
  assert.deepEqual(retiredIn([["kept", kept.join("\n")]], false), []);
});
