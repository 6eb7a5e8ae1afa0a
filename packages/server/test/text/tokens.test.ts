import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Language } from "../../src/text/settings.ts";
import { analyzerFor, queryAnalyzerFor, TERM_BYTES_MAX, TERMS_MAX } from "../../src/text/tokens.ts";
import { WordMemory } from "../../src/text/word-memory.ts";

const english = await analyzerFor("english");
const plain = await analyzerFor("none");

/** Checks the terms of texts; the expected terms are separated by spaces. */
async function checkTerms(texts: Record<string, string>, language: Language = "english"): Promise<void> {
  const analyze = await analyzerFor(language);
  for (const [text, terms] of Object.entries(texts)) assert.equal(analyze(text).join(" "), terms, text);
}

test("words become their stems in lower case, in order, as often as they occur", () =>
  checkTerms({
    "The Connections of connected things; CONNECTING.": "the connect of connect thing connect",
    "  (quoted) 'single' “double”—dashed… ": "quot singl doubl dash",
    "": "",
    "… !? --": "",
  }));

test("an identifier becomes its parts and a term for the whole", () =>
  checkTerms({
    "CVE-2025-1234": "cve 2025 1234 cve20251234",
    "2025-01-15": "2025 01 15 2025-01-15",
    "user.name@host.com": "user name host com user.name@host.com",
    "10.0.0.1": "10 0 0 1 10.0.0.1",
    "node.js": "node js node.js",
    "AT&T": "at t at&t",
    __init__: "init",
    "https://example.com/a?id=1": "https exampl com example.com a id 1",
  }));

test("an identifier has the same term for the whole, however its parts are joined", () => {
  const wholeOf = (text: string) => english(text).at(-1);
  assert.deepEqual(["task_123", "task-123", "Task123", "TASK-123"].map(wholeOf), Array(4).fill("task123"));
  assert.deepEqual(
    ["userNames", "user_names", "UserNames", "usernames"].map(wholeOf),
    Array(4).fill("usernam"),
  );
  assert.deepEqual(["e-mail", "E-Mails", "email"].map(wholeOf), Array(3).fill("email"));
  assert.equal(wholeOf("v1.2.3"), wholeOf("1.2.3"));
});

test("an identifier is found by its parts", () => {
  for (const [identifier, query] of [
    ["CVE-2025-1234", "2025"],
    ["task_123", "task 123"],
    ["fetchUserAccount()", "user accounts"],
    ["XMLHttpRequest", "request"],
    ["parseJSON", "parse json"],
    ["user.name@host.com", "host.com"],
  ] as const) {
    const terms = english(identifier);
    assert.ok(
      english(query.replace(".", " ")).every((term) => terms.includes(term)),
      `${identifier} by ${query}`,
    );
  }
});

test("hyphenated words and names with a capital inside are not identifiers", () =>
  checkTerms({
    "long-term": "long term",
    "mRNA McDonald IgG iPhone lacZ": "mrna mcdonald igg iphon lacz",
    "pre-mRNA": "pre mrna",
  }));

test("C++ and C# keep their signs", () =>
  checkTerms({
    "C++, C# and C": "c c++ c c# and c",
    "issue #12, f(x)++": "issu 12 f x",
    "c#x a+b": "c x a b",
  }));

test("abbreviations with dots become words, and decimals stay one number", () =>
  checkTerms({ "U.S.A. and e.g. 3.14": "usa and eg 3.14", "1'000 v2": "1000 v2" }));

test("apostrophes are dropped, with the articles and endings that they separate", async () => {
  await checkTerms({
    "don’t John's we'll O'Brien": "dont john we obrien",
    "l'avion aujourd'hui d’une qu'il": "avion aujourdhui une il",
  });
  await checkTerms({ "dell'arte un'altra": "arte altra" }, "none");
  const turkish = await analyzerFor("turkish");
  assert.deepEqual(turkish("Ankara'nın İstanbul’da"), turkish("Ankara İstanbul"));
  await checkTerms({ "об’єкт об'єкт": "обєкт обєкт" }, "none");
});

test("Turkish has two letters i", async () => {
  const turkish = await analyzerFor("turkish");
  assert.deepEqual(turkish("IŞIKLAR İSTANBUL"), turkish("ışıklar istanbul"));
});

test("Chinese and Japanese become pairs of characters, and single Chinese characters", () =>
  checkTerms({
    東京タワー: "東 東京 京 京タ タワ ワー",
    "猫が好き。": "猫 猫が が好 好 好き",
    "第3章 あ": "第 3 章 あ",
    iPhone手机: "iphon 手 手机 机",
    ﾀﾜｰ: "タワ ワー",
    𠮷野家: "𠮷 𠮷野 野 野家 家",
  }));

test("Korean and Thai become pairs of characters, each with its vowels and tones", () =>
  checkTerms({ "한국어 검색": "한국 국어 검색", ที่นี่: "ที่นี่", ภาษาไทย: "ภา าษ ษา าไ ไท ทย" }));

test("all forms of a character give the same terms", () =>
  checkTerms(
    {
      "ﬁne Ｆｕｌｌ naïve naïve": "fine full naive naive",
      "soft\u00adhyphen zero\u200cwidth": "softhyphen zerowidth",
      "Tidemark™": "tidemark",
      "٢٠٢٥ ۲۰۲۵ २०२५ ๒๐๒๕": "2025 2025 2025 2025",
      "1️⃣ ❤️ 😀hi😀there": "1 hi there",
    },
    "none",
  ));

test("a word has the same terms, whatever words surround it", () => {
  const word = fc.oneof(
    fc.stringMatching(/^[\p{L}\p{M}\p{N}._@&'-]{1,12}$/u),
    fc.constantFrom("CVE-2025-1", "fooBar", "v1.2", "l'été", "東京", "C++", "U.S.", "Straße"),
  );
  for (const analyze of [english, plain]) {
    fc.assert(
      fc.property(fc.array(word), (words) => {
        assert.deepEqual(analyze(words.join(" ")), words.flatMap(analyze));
      }),
    );
  }
});

test("texts have the same terms in every normal form", () => {
  const text = fc.string({ unit: fc.constantFrom(..."aeiounsc 1-_.'éüñçåøがỗ한คำйΆ") });
  fc.assert(
    fc.property(text, (text) => {
      assert.deepEqual(english(text.normalize("NFD")), english(text.normalize("NFC")));
    }),
  );
});

test("terms of any text have whole characters, and 1 to 64 bytes", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 200 }),
    fc.string({
      unit: fc.constantFrom("a", "é", "ﷺ", "𝕳", "𞤀", "ـ", "\u0301", "-", "_", "'"),
      maxLength: 200,
    }),
  );
  for (const analyze of [english, plain]) {
    fc.assert(
      fc.property(text, (text) => {
        for (const term of analyze(text.toWellFormed())) {
          assert.ok(
            term.length > 0 && Buffer.byteLength(term) <= TERM_BYTES_MAX && term.isWellFormed(),
            term,
          );
        }
      }),
    );
  }
});

test("a long word is cut to its beginning", () => {
  const [first, second] = [`${"ab0".repeat(30)}x`, `${"ab0".repeat(30)}y`];
  assert.deepEqual(english(first), [first.slice(0, TERM_BYTES_MAX)]);
  assert.deepEqual(english(second), english(first));
});

test("a text has a limited number of terms", () => {
  assert.equal(english("a ".repeat(TERMS_MAX + 10)).length, TERMS_MAX);
  assert.equal(english("東".repeat(TERMS_MAX)).length, TERMS_MAX);
  assert.equal(english("a-".repeat(TERMS_MAX)).length, TERMS_MAX);
});

test("a query loses its stop words", async () => {
  const query = await queryAnalyzerFor("english");
  assert.deepEqual(query("What's the effect of drugs on the heart?"), ["effect", "drug", "heart"]);
  assert.deepEqual(query("WHAT IS THE EFFECT"), ["effect"]);
  assert.deepEqual((await queryAnalyzerFor("german"))("Wie ist das Wetter für uns"), ["wett"]);
});

test("a query keeps stop words that are capitalized, or if it has no other words", async () => {
  const query = await queryAnalyzerFor("english");
  assert.deepEqual(query("IT support by the WHO"), ["it", "support", "who"]);
  assert.deepEqual(query("A lack of vitamin A"), ["lack", "vitamin", "a"]);
  assert.deepEqual(query("to be or not to be"), ["to", "be", "or", "not", "to", "be"]);
});

test("there is one analyzer per language", async () => {
  assert.equal(await analyzerFor("english"), english);
  assert.notEqual(plain, english);
});

test("a word memory returns its function's results, even for more words than fit", () => {
  const memory = new WordMemory((word) => `<${word}>`);
  const words = Array.from({ length: 100_000 }, (_, i) => (i * 7919).toString(36));
  for (const word of [...words, ...words.toReversed()]) assert.equal(memory.of(word), `<${word}>`);
});

test("a word memory calls its function once for a common word", () => {
  const asked: string[] = [];
  const memory = new WordMemory((word) => {
    asked.push(word);
    return word;
  });
  for (let i = 0; i < 100; i++) for (const word of ["the", "and", "reproducibility"]) memory.of(word);
  assert.deepEqual(asked, ["the", "and", "reproducibility"]);
});
