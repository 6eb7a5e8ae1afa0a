import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, readdir, readFile, symlink } from "node:fs/promises";
import { basename, delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ROOT } from "./docs/markdown.ts";

const run = promisify(execFile);
const MODULES = fileURLToPath(new URL("node_modules/", ROOT));

/**
 * Packs packages of this repository and installs them in another folder, as npm would, but with the libraries of the
 * checkout instead of the network.
 * @param folder an empty folder
 * @param names folders in packages/
 * @param libraries the packages that they need; absent: all of the checkout
 * @returns a folder with node_modules in which a program can run
 */
export async function installPacked(folder: string, names: string[], libraries?: string[]): Promise<string> {
  // Packing changes package.json files briefly, so it works on a copy: other tests read the checkout's.
  const checkout = join(folder, "checkout");
  for (const name of ["package.json", "tsconfig.json", "LICENSE", "scripts", "packages"]) {
    await cp(fileURLToPath(new URL(name, ROOT)), join(checkout, name), {
      recursive: true,
      filter: (path) => !["node_modules", "dist"].includes(basename(path)),
    });
  }
  await symlink(MODULES, join(checkout, "node_modules"));
  const tarballs = join(folder, "tarballs");
  await mkdir(tarballs);
  const workspaces = names.flatMap((name) => ["--workspace", `packages/${name}`]);
  await run("npm", ["pack", ...workspaces, "--pack-destination", tarballs], {
    cwd: checkout,
    env: {
      ...process.env,
      PATH: join(MODULES, ".bin") + delimiter + process.env.PATH,
      npm_config_cache: join(folder, "npm"),
      npm_config_offline: "true",
      npm_config_update_notifier: "false",
    },
  });

  const app = join(folder, "app");
  const installed = join(app, "node_modules");
  await mkdir(join(installed, ".bin"), { recursive: true });
  for (const name of names) {
    const path = `packages/${name}/package.json`;
    const manifest = await readFile(new URL(path, ROOT), "utf8");
    assert.equal(await readFile(join(checkout, path), "utf8"), manifest, `packing restores ${path}`);
    const target = join(installed, "@tidemark", name);
    await mkdir(target, { recursive: true });
    const tarball = (await readdir(tarballs)).find((file) => file.includes(name));
    await run("tar", ["-xzf", join(tarballs, tarball!), "--strip-components=1", "-C", target]);
    const programs = Object.entries<string>(JSON.parse(manifest).bin ?? {});
    const bin = programs.length > 0 ? ["bin"] : [];
    const content = (await readdir(target)).sort();
    assert.deepEqual(content, ["LICENSE", "README.md", ...bin, "dist", "package.json"]);
    for (const [command, path] of programs)
      await symlink(join(target, path), join(installed, ".bin", command));
  }
  const all = (await readdir(MODULES)).filter((name) => !name.startsWith(".") && name !== "@tidemark");
  for (const name of libraries ?? all) await symlink(join(MODULES, name), join(installed, name));
  return app;
}
