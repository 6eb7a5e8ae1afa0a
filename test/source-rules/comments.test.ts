import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

/** The formatter limits code to 110 columns, but does not wrap comments. */
const COLUMNS_MAX = 120;

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FILES = "{packages/*/{src,test},scripts,benchmarks,test,demo,examples}/**/*.{ts,js,sql,py,sh}";

/** Matches a line that is a comment or ends in one. */
const COMMENT = /^\s*(?:\/\/|\/?\*|--|#)|\s\/\/\s/;

const wideComments = (text: string) =>
  text
    .split("\n")
    .flatMap((line, at) => (COMMENT.test(line) && [...line].length > COLUMNS_MAX ? at + 1 : []));

test(`no line of a comment is wider than ${COLUMNS_MAX} columns`, () => {
  const paths = globSync(FILES, { cwd: ROOT }).filter((path) => !/node_modules|[\\/]dist[\\/]/.test(path));
  assert.ok(paths.length > 400, `found only ${paths.length} files`);
  const wide = paths.flatMap((path) =>
    wideComments(readFileSync(ROOT + path, "utf8")).map((line) => `${path}:${line}`),
  );
  assert.deepEqual(wide, []);
});

test("comments are found in each of their forms", () => {
  const long = "x".repeat(COLUMNS_MAX);
  const wide = [
    `// ${long}`,
    `  /** ${long} */`,
    `   * ${long}`,
    `a(); // ${long}`,
    `-- ${long}`,
    `# ${long}`,
  ];
  assert.deepEqual(wideComments(wide.join("\n")), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(wideComments(`const text = "${long}";\n// ${"é".repeat(COLUMNS_MAX - 3)}`), []);
});
