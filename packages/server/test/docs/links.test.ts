import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { markdownFiles, ROOT, withoutCode } from "./markdown.ts";

const read = (file: URL) => readFileSync(file, "utf8");

/** The name of a heading in a link, as GitHub makes it. */
function anchors(text: string): string[] {
  const headings = text.replaceAll(/^ *```.*?^ *```$/gms, "").matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

test("every relative link in the documents leads to an existing file and heading", () => {
  let links = 0;
  for (const path of markdownFiles()) {
    const file = new URL(path, ROOT);
    for (const [, target] of withoutCode(read(file)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue;
      links++;
      const [linked, anchor] = target!.split("#");
      const destination = new URL(linked || file, file);
      assert.ok(existsSync(destination), `${path} links to ${target}`);
      if (anchor !== undefined) {
        assert.ok(anchors(read(destination)).includes(anchor), `${path} links to ${target}`);
      }
    }
  }
  assert.ok(links > 20, "There are links to follow.");
});

test("every page of docs is linked from another document", () => {
  const linked = new Set<string>();
  for (const path of markdownFiles()) {
    const file = new URL(path, ROOT);
    for (const [, target] of read(file).matchAll(/\]\(([^)\s#]+)/g)) {
      if (!/^[a-z]+:/.test(target!)) linked.add(new URL(target!, file).href);
    }
  }
  for (const path of markdownFiles().filter((path) => path.startsWith("docs/"))) {
    assert.ok(linked.has(new URL(path, ROOT).href), `${path} is linked`);
  }
});
