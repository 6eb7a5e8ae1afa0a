import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "./example-store.ts";

const read = (path: string) => JSON.parse(readFileSync(join(ROOT, path), "utf8"));

test("an example requires the versions that its tests use", () => {
  const { devDependencies } = read("package.json");
  const tested = {
    ...devDependencies,
    "@tidemark/client": `^${read("packages/client/package.json").version}`,
  };
  const manifests = globSync("examples/*/package.json", { cwd: ROOT });
  assert.ok(manifests.length >= 3);
  for (const path of manifests) {
    const { dependencies } = read(path);
    for (const [name, range] of Object.entries(dependencies))
      assert.equal(range, tested[name], `${path}: ${name}`);
    const folder = path.slice(0, -"package.json".length);
    const sources = globSync(`${folder}*.ts`, { cwd: ROOT }).map((file) =>
      readFileSync(join(ROOT, file), "utf8"),
    );
    const imported = sources.join("\n").matchAll(/ from "((?:@[\w-]+\/)?[\w-]+)[^":]*"/g);
    const names = [...new Set([...imported].map(([, name]) => name!))].sort();
    assert.deepEqual(names, Object.keys(dependencies).sort(), path);
  }
});
