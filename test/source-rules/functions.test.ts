import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const LINES_MAX = 70;

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

interface FunctionSpan {
  name: string;
  /** From the first line of its head to the one that closes it, blank lines and comments included. */
  lines: number;
}

/**
 * How a function may begin: a declaration, an arrow, a method (calls of several lines look alike, and are counted too).
 */
const DECLARATION = /^(?:export )?(?:default )?(?:async )?function\b/;
const ARROW = /=>(?:$|.*[{([`]$)/;
const METHOD =
  /^(?!(?:if|for|while|switch|catch|return|await|throw)\b)(?:\w+ )*[*#]?\w+(?:<.*>)?\((?:$|.*[({[]$)/;

/**
 * The functions in a formatted text that take more than one line. A function ends where its indentation is closed,
 * which the formatter makes certain; of two that begin in one line only the outer one is told.
 */
function functionsOf(text: string): FunctionSpan[] {
  const lines = text.split("\n");
  return lines.flatMap((line, start) => {
    const [, indentation, head] = /^( *)(.*)$/.exec(line)!;
    if (!DECLARATION.test(head!) && !ARROW.test(head!) && !METHOD.test(head!)) return [];
    const closes = new RegExp(`^${indentation}[)}\\]\`]`);
    const end = lines.findIndex(
      (each, at) => at > start && closes.test(each) && !/(?:[({[<`]|=>)$/.test(each),
    );
    return end < 0 ? [] : { name: `${head} (line ${start + 1})`, lines: end - start + 1 };
  });
}

test(`no function is longer than ${LINES_MAX} lines`, () => {
  const functions = globSync("packages/*/src/**/*.ts", { cwd: ROOT }).flatMap((path) =>
    functionsOf(readFileSync(ROOT + path, "utf8")).map((span) => ({ path, ...span })),
  );
  assert.ok(functions.length > 1000, `only ${functions.length} functions were found`);
  const long = functions.filter(({ lines }) => lines > LINES_MAX);
  assert.deepEqual(
    long.map(({ path, name, lines }) => `${path}: ${name}: ${lines} lines`),
    [],
  );
});

test("functions are found in each of their forms, and their lines are counted", () => {
  const text = `
export async function declared(
  a: number,
): Promise<void> {
  if (a) {
    await a;
  }

}
const arrow = (a: number) => {
  // A comment.
  return a;
};
const called = wrap(async (a) => {
  \`text
of a template\`;
});
const made = (a: number): object => ({
  a,
});
class Methods {
  static async *each<T>(a: T): AsyncGenerator<T> {
    for (;;) {
      yield a;
    }
  }
  #hidden(
    a: number,
  ) {
    return a;
  }
}
`;
  assert.deepEqual(
    functionsOf(text).map(({ lines }) => lines),
    [8, 4, 4, 3, 5, 5],
  );
});
