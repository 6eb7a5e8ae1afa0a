import type { TestContext } from "node:test";

const stacks = new WeakMap<TestContext, AsyncDisposableStack>();

/**
 * Runs an action when a test ends. The last action runs first, unlike with `t.after`, so that a server ends before its
 * database is dropped.
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
