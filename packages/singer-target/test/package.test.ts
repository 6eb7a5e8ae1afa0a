import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, readdir, readFile, symlink } from "node:fs/promises";
import { basename, delimiter, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { codeBlocks, ROOT } from "../../server/test/docs/markdown.ts";
import { startStore } from "./target-process.ts";

const run = promisify(execFile);
const modules = fileURLToPath(new URL("node_modules/", ROOT));
const PATH = join(modules, ".bin") + delimiter + process.env.PATH;
const PACKAGES = ["protocol", "client", "singer-target"];

test("the packed package runs its README's first example as written, alone", async (t) => {
  const store = await startStore(t);
  const { folder } = store;

  // Packing changes the package.json files for a moment: not those of the checkout that other tests read.
  const checkout = join(folder, "checkout");
  for (const name of ["package.json", "tsconfig.json", "LICENSE", "scripts", "packages"]) {
    await cp(fileURLToPath(new URL(name, ROOT)), join(checkout, name), {
      recursive: true,
      filter: (path) => !["node_modules", "dist"].includes(basename(path)),
    });
  }
  await symlink(modules, join(checkout, "node_modules"));
  const tarballs = join(folder, "tarballs");
  await mkdir(tarballs);
  const workspaces = PACKAGES.flatMap((name) => ["--workspace", `packages/${name}`]);
  const npm = { npm_config_cache: join(folder, "npm"), npm_config_update_notifier: "false" };
  await run("npm", ["pack", ...workspaces, "--pack-destination", tarballs, "--offline"], {
    cwd: checkout,
    env: { ...process.env, PATH, ...npm },
  });
  const path = "packages/singer-target/package.json";
  const [before, after] = [readFile(new URL(path, ROOT), "utf8"), readFile(join(checkout, path), "utf8")];
  assert.equal(await after, await before, "packing leaves the manifest as it was");

  // Installed as npm would, but for the network: the other dependencies are those of the checkout.
  const installed = join(folder, "app", "node_modules");
  for (const name of PACKAGES) {
    const target = join(installed, "@tidemark", name);
    await mkdir(target, { recursive: true });
    const tarball = (await readdir(tarballs)).find((file) => file.includes(name));
    await run("tar", ["-xzf", join(tarballs, tarball!), "--strip-components=1", "-C", target]);
  }
  for (const name of ["typebox", "ajv", "ajv-formats"])
    await symlink(join(modules, name), join(installed, name));
  const own = join(installed, "@tidemark", "singer-target");
  assert.deepEqual((await readdir(own)).sort(), ["LICENSE", "README.md", "bin", "dist", "package.json"]);
  const bin = join(installed, ".bin");
  await mkdir(bin);
  await symlink(join(own, "bin", "target-tidemark.js"), join(bin, "target-tidemark"));

  let example = codeBlocks("packages/singer-target/README.md", "bash")[0]!;
  const { url, api_key, organization_id, vector_store_id } = store.settings as Record<string, string>;
  for (const [written, here] of [
    ["http://127.0.0.1:8787", url],
    ["YOUR_API_KEY", api_key],
    ["org_acme", organization_id],
    ["vs_support", vector_store_id],
  ] as const) {
    assert.ok(example.includes(written), `the example has ${written}`);
    example = example.replaceAll(written, here!);
  }
  const { stdout } = await run("bash", ["-euo", "pipefail", "-c", example], {
    cwd: join(folder, "app"),
    env: { ...process.env, PATH: bin + delimiter + PATH },
  });
  assert.equal(stdout, '{"bookmarks": {"tickets": {"id": 2}}}\n');
  assert.deepEqual(await store.contents("tickets"), {
    1: { id: 1, subject: "Printer on fire" },
    2: { id: 2, subject: "No toner" },
  });
});
