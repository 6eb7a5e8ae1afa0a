import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { basename, delimiter, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { codeBlocks, ROOT } from "../../server/test/docs/markdown.ts";
import { temporaryFolder } from "../../server/test/test-server.ts";
import { startStore } from "./store.ts";

const run = promisify(execFile);
const modules = fileURLToPath(new URL("node_modules/", ROOT));
const env = { ...process.env, PATH: join(modules, ".bin") + delimiter + process.env.PATH };

test("the packed package runs its README's first example as written, alone and with its types", async (t) => {
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
  const packed = ["protocol", "client"];
  const workspaces = packed.flatMap((name) => ["--workspace", `packages/${name}`]);
  const npm = { npm_config_cache: join(folder, "npm"), npm_config_update_notifier: "false" };
  await run("npm", ["pack", ...workspaces, "--pack-destination", tarballs, "--offline"], {
    cwd: checkout,
    env: { ...env, ...npm },
  });
  const path = "packages/client/package.json";
  assert.equal(
    await readFile(join(checkout, path), "utf8"),
    await readFile(new URL(path, ROOT), "utf8"),
    "packing leaves the manifest as it was",
  );

  // Installed as npm would, but for the network: the protocol's own dependency is that of the checkout.
  const app = join(folder, "app");
  const installed = join(app, "node_modules");
  for (const name of packed) {
    const target = join(installed, "@tidemark", name);
    await mkdir(target, { recursive: true });
    const tarball = (await readdir(tarballs)).find((file) => file.includes(name));
    await run("tar", ["-xzf", join(tarballs, tarball!), "--strip-components=1", "-C", target]);
    const content = (await readdir(target)).sort();
    assert.deepEqual(content, ["LICENSE", "README.md", "dist", "package.json"]);
  }
  await symlink(join(modules, "typebox"), join(installed, "typebox"));

  const { server, tenant, contents } = await startStore(t);
  const replaced: [string, string][] = [
    ["http://127.0.0.1:8787", server.url],
    ["YOUR_API_KEY", tenant.key],
    ["org_acme", tenant.organizationId],
    ["vs_support", tenant.storeId],
  ];
  let example = codeBlocks("packages/client/README.md", "ts")[0]!;
  for (const [written, here] of replaced) {
    assert.ok(example.includes(written), `the example has ${written}`);
    example = example.replaceAll(written, here);
  }
  await writeFile(join(app, "package.json"), '{"type": "module"}');
  await writeFile(join(app, "example.ts"), example);
  const { stdout } = await run(process.execPath, ["example.ts"], { cwd: app });
  assert.match(stdout, /created: 2,.*level: true/s);
  assert.deepEqual(Object.keys(await contents("tickets")), ["ticket_1", "ticket_2"]);

  const browser = ["--lib", "es2022,dom,dom.asynciterable", "--types", ""];
  const compiler = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", ...browser];
  await run("tsc", [...compiler, "example.ts"], { cwd: app, env });
});
