import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, readdir, readFile, symlink } from "node:fs/promises";
import { basename, delimiter, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startServerProcess } from "../server-process.ts";
import { temporaryFolder } from "../test-server.ts";
import { ROOT } from "./markdown.ts";

const run = promisify(execFile);
const PACKAGES = ["protocol", "client", "server"];
const modules = fileURLToPath(new URL("node_modules/", ROOT));

test("the packed packages run alone, outside of a checkout", async (t) => {
  const folder = await temporaryFolder(t);

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
  await run("npm", ["pack", "--workspaces", "--pack-destination", tarballs], {
    cwd: checkout,
    env: {
      ...process.env,
      PATH: join(modules, ".bin") + delimiter + process.env.PATH,
      npm_config_cache: join(folder, "npm"),
      npm_config_offline: "true",
      npm_config_update_notifier: "false",
    },
  });
  for (const name of PACKAGES) {
    const path = `packages/${name}/package.json`;
    const before = await readFile(new URL(path, ROOT), "utf8");
    assert.equal(await readFile(join(checkout, path), "utf8"), before, `packing leaves ${path} as it was`);
  }

  // Installed as npm would, but for the network: the other dependencies are those of the checkout.
  const installed = join(folder, "app", "node_modules");
  for (const name of PACKAGES) {
    const target = join(installed, "@tidemark", name);
    await mkdir(target, { recursive: true });
    const [tarball] = (await readdir(tarballs)).filter((file) => file.includes(name));
    await run("tar", ["-xzf", join(tarballs, tarball!), "--strip-components=1", "-C", target]);
    const content = (await readdir(target)).sort();
    const bin = name === "server" ? ["bin"] : [];
    assert.deepEqual(content, ["LICENSE", "README.md", ...bin, "dist", "package.json"]);
  }
  for (const name of await readdir(modules)) {
    if (!name.startsWith(".") && name !== "@tidemark")
      await symlink(join(modules, name), join(installed, name));
  }

  const tidemark = join(installed, "@tidemark", "server", "bin", "tidemark.js");
  const settings = { TIDEMARK_DATABASE_URL: `file:${folder}/tidemark.db` };
  const server = await startServerProcess(t, settings, [process.execPath, tidemark, "serve"]);
  const ready = await fetch(`${server.url}/readyz`);
  assert.deepEqual(await ready.json(), { status: "ok" });
  assert.deepEqual(await server.end("SIGTERM"), { code: 0, signal: null });
});
