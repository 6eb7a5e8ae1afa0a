import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { textOf } from "../../src/text/html-text.ts";
import { titleLine } from "../../src/text/title.ts";
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
  for (const [html, text] of cases) assert.equal(textOf(html), text, html);
});

test("only what evidently is HTML is read as such", () => {
  for (const html of [
    "<p>a</p>",
    "<DIV>a</DIV>",
    "<!doctype html><html><body>a</body></html>",
    "<p>a<br></p >",
  ]) {
    assert.notEqual(textOf(html), html);
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
  for (const text of others) assert.equal(textOf(text), text);
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
      const text = textOf(`<div>${pieces.map(({ html }) => html).join("")}</div>`);
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
    assert.ok(textOf(broken).length <= broken.length, html);
  }
});

const SHOWN: Record<string, [html: string, text: string][]> = {
  "a text with a few tags": [
    ["Hello <b>Zebra</b>,<br>printer &amp; toner", "Hello Zebra,\nprinter & toner"],
    ["Dear all,\n\nsee <i>this</i>.\n\n  Indented", "Dear all,\n\nsee this.\n\n  Indented"],
    ["Line one<br/>\nline two<br>\n<br>\nthree", "Line one\nline two\n\nthree"],
    ["One</br>two", "One\ntwo"],
    ["I <3 you <b>all</b>, 5 <6", "I <3 you all, 5 <6"],
    ["Text <!-- not shown --> here", "Text here"],
    ["Put the <script> tag at the <b>end</b>", "Put the <script> tag at the end"],
    ["it`s <b>Zebra</b>, don`t", "it`s Zebra, don`t"],
  ],
  "words, blocks and lines": [
    ["foo<b>bar</b> super<wbr>cali H<sub>2</sub>O", "foobar supercali H2O"],
    ["<div>a</div><div>b</div>", "a\n\nb"],
    ["<p>One\n   two</p>  <p>three</p>", "One two\n\nthree"],
    ["<p>a<br><br>b</p>tail", "a\n\nb\n\ntail"],
    ["<h1>A</h1><h2></h2><p>b</p>", "# A\n\nb"],
    ["<p>a &nbsp; b</p><p>&nbsp;</p>", "a   b"],
    ["<pre>  two\n    four</pre>", "  two\n    four"],
    ["<p>a</p><pre><code>if (b) {\n  c;\n}\n</code></pre><p>d   e</p>", "a\n\nif (b) {\n  c;\n}\n\nd e"],
  ],
  "lists and tables": [
    ["<ul>\n  <li>a</li>\n  <li>b</li>\n</ul>", "- a\n- b"],
    ["<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>", "- a\n  - b\n- c"],
    ["<table>\n<tr><th>a</th><th>b</th></tr>\n<tr><td>c</td><td>d</td></tr></table>", "a b\nc d"],
    ["<dl><dt>a</dt><dd>b</dd></dl>", "a\nb"],
  ],
  "tags that are not closed, or cut off": [
    ["One<p>Two<p>Three", "One\n\nTwo\n\nThree"],
    ["<ol><li>a<li>b</ol>", "- a\n- b"],
    ["<table><tr><td>a<td>b<tr><td>c</table>", "a b\nc"],
    ["Hello <b>Zebra", "Hello Zebra"],
    ['Hello <b>Zebra <a href="https://exam', "Hello Zebra"],
    ["<head><title>a</title><p>b", "b"],
  ],
  "tags in every spelling": [
    ['<p title="a > b">Zebra</p>', "Zebra"],
    ["<p onclick='go(\"<b>\")' hidden>Zebra</p >", "Zebra"],
    ["<FONT COLOR=red>Red</FONT><BR>x", "Red\nx"],
    ['<p class="Mso">a<o:p></o:p> <x-y>b</x-y> <foo>c</foo></p>', "a b c"],
  ],
  "what is not seen, and what is": [
    ["Hello <script>alert('<b>')</script> world", "Hello world"],
    ["<style>p > a {}</style>a<iframe src=x>b</iframe><template>c</template>", "a"],
    ["<p>See <img alt='the wiring plan'> below</p>", "See the wiring plan below"],
    ['foo<img alt="a &amp; b">bar (<img alt="c">)', "foo a & b bar (c)"],
    ['Read <a href="https://example.com/">the manual</a>.', "Read the manual."],
    ["<![CDATA[<p>Zebra</p>]]>", "Zebra"],
    ["<p><![CDATA[a < b]]></p>", "a < b"],
  ],
  entities: [
    ["<p>Zebra &rarr; &Eacute;cole &times;</p>", "Zebra → École ×"],
    ["<p>&copy 2024 &#8364;&#x20AC;&#8364 AT&ampT</p>", "© 2024 €€€ AT&T"],
    ["<p>/?a=1&copy=2 &lt;b&gt;</p>", "/?a=1&copy=2 <b>"],
  ],
  "Markdown with HTML in it": [
    ["Use `<b>` or `&amp;` for <b>bold</b> &amp; more", "Use `<b>` or `&amp;` for bold & more"],
    [
      '<p align="center"><img src="a.png" alt="Logo"></p>\n\n# Title\n\n- a\n    - b\n\n```js\nx = <b>c</b>;\n```\n',
      "Logo\n\n# Title\n\n- a\n    - b\n\n```js\nx = <b>c</b>;\n```",
    ],
    ["The `<script>` tag\nand <kbd>Ctrl</kbd>+<kbd>C</kbd>", "The `<script>` tag\nand Ctrl+C"],
  ],
  "code in HTML": [
    [
      "<p>List<String>, <Button onClick={save}>, <ada@example.com></p>",
      "List<String>, <Button onClick={save}>, <ada@example.com>",
    ],
    ["Set <timeout>3</timeout><br>in the file", "Set <timeout>3</timeout>\nin the file"],
  ],
};

for (const [kind, cases] of Object.entries(SHOWN)) {
  test(`of HTML its text is read: ${kind}`, () => {
    for (const [html, text] of cases) assert.equal(textOf(html), text, html);
  });
}

test("what only looks like HTML stays as it is", () => {
  const texts = [
    "Use <Button onClick={save}> in JSX and List<String> in Java",
    "a < b && c > d; if (a <b && c> d) run()",
    "const x: Array<T> = f<b>(a); Map<A, B>; vector<a> y",
    "SELECT * FROM t WHERE a <> 'b' AND c < d",
    "mail <ada@example.com> or see <https://example.com/?a=b&copy=c>",
    "sort <in.txt >out.txt; cat <<EOF > a; diff <(a) <(b)",
    "git clone <url> <title>; cmd <input> > <output>",
    "press <p> to print, <i> to insert",
    '<svg viewBox="0 0 1 1"><title>Logo</title><a href="x"><path d="M0"/></a></svg>',
    '<?xml version="1.0"?><note><to>Tove</to><b>x</b></note>',
    '<data><item id="1">x</item></data>',
    "const App = () => <div><p>Hello</p></div>;",
    "return (\n  <ul>{items.map((i) => <li key={i}>{i}</li>)}</ul>\n);",
    '<div className="x"><p>Hello</p></div>',
    "<div><Button primary>Save</Button></div>",
    "<><p>Hello</p></>",
    'element.innerHTML = "<b>" + name + "</b>";',
    'String s = "<p>One</p><p>Two</p>";',
    '{"html": "<p>One</p>"}',
    '<?php echo "<b>x</b>"; ?>',
    "a <!-- b",
    "printer &amp; toner",
  ];
  for (const text of texts) assert.equal(textOf(text), text);
});

test("a title has no markup either, and no mark of a heading", () => {
  assert.equal(titleLine("Hello <b>Zebra</b><br>&amp; co", 400).text, "Hello Zebra & co");
  assert.equal(titleLine("<h1>Zebra</h1>", 400).text, "Zebra");
  assert.equal(titleLine("# Zebra", 400).text, "# Zebra");
});

test("hostile HTML is read in a time that its length allows", () => {
  const hostile = [
    ...[
      "<",
      "<a ",
      "<b>",
      "<div>",
      "</p>",
      "</x>",
      "<x><x></x>",
      "<!--",
      "<![CDATA[",
      "<script>",
      "<svg>",
      "`<",
      "&#1",
    ],
    ...[
      "<p a='`",
      "x=>(<b>",
      '="<b>"',
      " <br>",
      "<ul><li>",
      "<p\n",
      "```\n<",
      "<a =",
      "<div><B x={a}></B></div>",
      "<% ",
    ],
  ].map((piece) => piece.repeat(300_000 / piece.length));
  hostile.push(`${"<b>".repeat(45_000)}${"</b>".repeat(45_000)}`);
  hostile.push(Array.from({ length: 15_000 }, (_, i) => `<x${i}><x${i}></x${i}>`).join(""));
  for (const html of hostile) {
    for (const text of [html, `a <i>text</i> ${html}`]) {
      const before = process.cpuUsage();
      textOf(text);
      const { user, system } = process.cpuUsage(before);
      assert.ok(user + system < 500_000, `${text.slice(0, 40)} took ${user + system} µs`);
    }
  }
});
