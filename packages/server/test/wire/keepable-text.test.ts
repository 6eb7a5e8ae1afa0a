import assert from "node:assert/strict";
import { test } from "node:test";
import { hasAtMost, isName, replaceFaults, textFault } from "@tidemark/protocol/keepable-text";
import { parseName } from "../../src/cli/options.ts";

test("a name has 1 to 255 code points, all of which can be kept", () => {
  for (const name of ["a", " ", "😀".repeat(255), "a".repeat(255), "\uffff", "\n"]) {
    assert.ok(isName(name));
    assert.equal(parseName(name), name);
  }
  for (const name of ["", "😀".repeat(256), "a".repeat(256), "a\0", "\ud83d", "\ude00\ud83d"]) {
    assert.ok(!isName(name), JSON.stringify(name));
    assert.throws(() => parseName(name), /1 to 255 characters/, JSON.stringify(name));
  }
});

test("the limit counts code points, not code units", () => {
  assert.ok(hasAtMost("😀😀", 2) && !hasAtMost("😀😀a", 2) && hasAtMost("", 0) && !hasAtMost("😀", 0));
});

test("characters that cannot be kept are named, and become U+FFFD", () => {
  assert.equal(textFault("a😀"), undefined);
  assert.match(textFault("\0")!, /U\+0000/);
  assert.match(textFault("\ude00\0")!, /surrogate/);
  assert.equal(replaceFaults("\ude00a\0😀"), "\ufffda\ufffd😀");
});
