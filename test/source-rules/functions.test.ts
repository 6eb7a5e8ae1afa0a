import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const LINES_MAX = 70;

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

interface FunctionSpan {
  name: string;
  /** The lines from the head to the closing bracket, with blank lines and comments. */
  lines: number;
}

/** The first lines of functions; METHOD also matches calls of several lines, which are counted too. */
const DECLARATION = /^(?:export )?(?:default )?(?:async )?function\b/;
const ARROW = /=>(?:$|.*[{([`]$)/;
const METHOD =
  /^(?!(?:if|for|while|switch|catch|return|await|throw)\b)(?:\w+ )*[*#]?\w+(?:<.*>)?\((?:$|.*[({[]$)/;

/**
 * The functions of more than one line in a formatted text. A function ends at the closing bracket with its indentation.
 * If two functions begin in one line, only the outer one counts.
 */
function functionsOf(text: string): FunctionSpan[] {
  const lines = text.split("\n");
  return lines.flatMap((line, start) => {
    const [, indentation, head] = /^( *)(.*)$/.exec(line)!;
    if (!DECLARATION.test(head!) && !ARROW.test(head!) && !METHOD.test(head!)) return [];
    const closes = new RegExp(`^${indentation}[)}\\]\`]`);
    const end = lines.findIndex(
      (later, at) => at > start && closes.test(later) && !/(?:[({[<`]|=>)$/.test(later),
    );
    return end < 0 ? [] : { name: `${head} (line ${start + 1})`, lines: end - start + 1 };
  });
}

test(`no function is longer than ${LINES_MAX} lines`, () => {
  const functions = globSync("packages/*/src/**/*.ts", { cwd: ROOT }).flatMap((path) =>
    functionsOf(readFileSync(ROOT + path, "utf8")).map((span) => ({ path, ...span })),
  );
  assert.ok(functions.length > 1000, `found only ${functions.length} functions`);
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
