import type { TestContext } from "node:test";

const stacks = new WeakMap<TestContext, AsyncDisposableStack>();

/**
 * Has something done when a test is done, the last named first: a server ends before its database is dropped.
 * (`t.after` begins with the first.)
 */
export function whenDone(t: TestContext, action: () => unknown): void {
  let stack = stacks.get(t);
  if (!stack) {
    const all = new AsyncDisposableStack();
    stacks.set(t, all);
    t.after(() => all.disposeAsync());
    stack = all;
  }
  stack.defer(async () => {
    await action();
  });
}
