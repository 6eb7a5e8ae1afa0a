import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LANGUAGES } from "../../src/text/settings.ts";
import { stemEnglish } from "../../src/text/stem-english.ts";
import { fold, loadStemmer } from "../../src/text/stemming.ts";

/** Stems and their words, from the vocabularies that the Snowball project publishes with its algorithms. */
const ENGLISH = {
  consign: "consign consigned consigning consignment",
  consist: "consist consisted consistency consistent consistently consisting consists",
  consol: "consolation consolations console consoled consoles consoling consolingly consols",
  consolatori: "consolatory",
  consolid: "consolidate consolidated consolidating",
  constabl: "constable constables",
  knack: "knack knacks",
  knackeri: "knackeries",
  knight: "knight knightly knights",
  knit: "knit knits knitted knitting",
  knitteth: "knitteth",
  adopt: "adopt adopted adoption adopts",
  connect: "connect connected connecting connection connections",
  relat: "relate related relating relation relational",
  general: "general generally generalities",
  generat: "generate generates generating",
  hope: "hope hopes hoped hoping",
  hop: "hop hops hopped hopping",
  agre: "agree agreed",
  feed: "feed",
  happi: "happy happiness",
  enjoy: "enjoy enjoys enjoyed",
  say: "say says",
  by: "by",
  tie: "ties tied tying",
  cri: "cries cried",
  news: "news",
  succeed: "succeed",
  even: "even",
  evening: "evening evenings",
  past: "past",
  biolog: "biology biologist",
  opinion: "opinion opinions",
  organ: "organ organs",
  organiz: "organize organized organization",
};

test("English words have the stems of the Snowball project's English stemmer", () => {
  for (const [stem, words] of Object.entries(ENGLISH)) {
    for (const word of words.split(" ")) assert.equal(stemEnglish(word), stem, word);
  }
});

test("the English stemmer leaves words with digits or other letters as they are", () => {
  for (const word of ["b12s", "größeres", "собаками", "x", "as"]) assert.equal(stemEnglish(word), word);
});

test("German words have the stems of the Snowball project's German stemmer", async () => {
  const stem = await loadStemmer("german");
  const words = {
    aufeinanderfolge: "aufeinanderfolg",
    kategorien: "kategori",
    häuser: "haus",
    hauses: "haus",
  };
  for (const [word, expected] of Object.entries(words)) assert.equal(stem(word), expected);
});

test("German words have the same stem with umlauts, with two letters for them and without", async () => {
  const stem = await loadStemmer("german");
  for (const words of [
    "müller mueller muller",
    "flüge fluege fluge",
    "straße strasse",
    "schön schoen schon",
  ]) {
    assert.equal(new Set(words.split(" ").map(stem)).size, 1, words);
  }
  assert.equal(stem("neue"), "neu");
  assert.equal(stem("quellen"), "quell");
});

test("French words have the stems of the Snowball project's French stemmer, without accents", async () => {
  const stem = await loadStemmer("french");
  const words = { continuait: "continu", continuellement: "continuel", majestueusement: "majestu" };
  for (const [word, expected] of Object.entries(words)) assert.equal(stem(word), expected);
  assert.equal(stem("généraux"), stem("générale"));
});

test("words of Romance languages have the same stem without accents", async () => {
  const words = {
    french: "général généraux identité abandonnée détaillées",
    italian: "città abbandonerà politicò",
    portuguese: "configuração alterações transparência",
    romanian: "informației posibilități ştiinţe",
    spanish: "canción educación teníamos insistió",
  } as const;
  for (const [language, list] of Object.entries(words)) {
    const stem = await loadStemmer(language as keyof typeof words);
    for (const word of list.split(" ")) assert.equal(stem(word), stem(fold(word)), word);
  }
});

test("in other languages accented endings are removed before the accents", async () => {
  assert.equal((await loadStemmer("hungarian"))("házból"), "haz");
  assert.equal((await loadStemmer("turkish"))("kitaplarımızı"), "kitap");
  assert.equal((await loadStemmer("russian"))("собаками"), "собак");
});

test("accents, points and strokes are removed if people write the letter without them, too", () => {
  const words = {
    ...{ naïve: "naive", łódź: "lodz", smørrebrød: "smorrebrod", œuvre: "oeuvre", ısı: "isi" },
    ...{
      άνθρωπος: "ανθρωποσ",
      ёлка: "елка",
      שָׁלוֹם: "שלום",
      مُحَمَّد: "محمد",
      أحمد: "احمد",
      العـــربية: "العربية",
    },
  };
  for (const [word, expected] of Object.entries(words)) assert.equal(fold(word), expected);
});

test("marks that make another letter stay", () => {
  for (const word of ["мой", "हिन्दी", "ภาษาไทย", "が", "한국어", "tiếng", "việt", "mở"]) {
    assert.equal(fold(word.normalize("NFC")), word.normalize("NFC"));
  }
});

for (const language of LANGUAGES) {
  test(`${language}: every word has one stem, which is hardly longer than the word`, async () => {
    const stem = await loadStemmer(language);
    const letters = fc.stringMatching(/^[\p{Ll}\p{Lo}]{1,30}$/u);
    const latin = fc.stringMatching(/^[a-zà-öø-ÿčőşğı]{1,30}$/);
    fc.assert(
      fc.property(fc.oneof(latin, letters), (word) => {
        const once = stem(word);
        assert.equal(stem(word), once);
        assert.ok(once.length > 0 && once.length <= 2 * word.length + 3, `${word} became ${once}`);
      }),
      { numRuns: 200 },
    );
  });
}
