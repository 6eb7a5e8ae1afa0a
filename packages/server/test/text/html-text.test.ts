import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { htmlText, isHtml } from "../../src/text/html-text.ts";
import { LONG } from "../long.ts";

const RUNS = LONG ? 20_000 : 1000;

test("HTML becomes the text that it shows, with headings and lists as in Markdown", () => {
  const cases: [html: string, text: string][] = [
    ["<p>One &amp; two</p>", "One & two"],
    ["<p>One</p><p>Two</p>", "One\n\nTwo"],
    ["<div>a<br>b<br/>c</div>", "a\nb\nc"],
    ["<h2 class='x'>Title</h2><p>Text</p>", "## Title\n\nText"],
    ["<ul><li>one</li><li>two</li></ul>", "- one\n- two"],
    ["<p>a <b>bold</b>, <a href='http://x'>linked</a></p>", "a bold, linked"],
    ["<p>a</p><script>var b = '<p>';</SCRIPT ><style>p{}</style><p>c</p>", "a\n\nc"],
    ["<p>a<!-- <b>not</b> shown -->b</p>", "ab"],
    ["<p>1 < 2 and 3 > 2</p>", "1 < 2 and 3 > 2"],
    ["<p>&lt;b&gt; &#228;&#xe4; &nope; &#0; &#55296; &#x10ffff;</p>", "<b> ää &nope;     \u{10ffff}"],
    ["<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"],
    ["<p>cut in a <tag", "cut in a"],
  ];
  for (const [html, text] of cases) assert.equal(htmlText(html), text, html);
});

test("only what evidently is HTML is read as such", () => {
  for (const html of [
    "<p>a</p>",
    "<DIV>a</DIV>",
    "<!doctype html><html><body>a</body></html>",
    "<p>a<br></p >",
  ]) {
    assert.equal(isHtml(html), true, html);
  }
  const others = [
    "a",
    "",
    "<",
    "<>",
    "The `</div>` tag",
    "<b> is bold",
    "1 < 2, </p> 3 >",
    "<T>(a: T) => Array<T>",
  ];
  for (const text of others) assert.equal(isHtml(text), false, text);
});

test("no tag of random HTML is left, and words outside tags are all there", () => {
  const tag = fc.constantFrom("p", "b", "li", "h3", "td", "x-y", "span", "br");
  const piece = fc.oneof(
    fc.stringMatching(/^[a-z]{1,8}$/).map((word) => ({ html: ` ${word} `, word })),
    fc
      .tuple(tag, fc.boolean())
      .map(([name, closes]) => ({ html: `<${closes ? "/" : ""}${name}>`, word: "" })),
    fc.stringMatching(/^[^<>"]{0,9}$/).map((value) => ({ html: `<p title="${value}">`, word: "" })),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const text = htmlText(pieces.map(({ html }) => html).join(""));
      assert.doesNotMatch(text, /[<>]/);
      const words = pieces.map(({ word }) => word).filter((word) => word !== "");
      assert.deepEqual(text.match(/[a-z]+/g) ?? [], words);
    }),
    { numRuns: RUNS },
  );
});

test("HTML that is broken all over is read in one pass", () => {
  for (const html of ["<", "<!--", "<script>", "<p", "&", "<a href='", " \n", "</"]) {
    const broken = html.repeat(300_000);
    assert.ok(htmlText(broken).length <= broken.length, html);
  }
});
