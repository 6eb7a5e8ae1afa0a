/**
 * Makes the package in the working directory fit to be packed, and a checkout's again:
 * `prepack` and `postpack` of every package, which `npm pack` and `npm publish` run.
 *
 *   node ../../scripts/pack.ts prepare|restore
 *
 * A checkout runs its TypeScript as it is, so `exports` names src/; Node does not strip types below node_modules,
 * so the package names dist/.
 */
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const CHECKOUT = /"\.\/src\/([^"]+)\.ts"/g;
const PUBLISHED = /\{ "types": "\.\/dist\/([^"]+)\.d\.ts", "default": "[^"]+" \}/g;

const preparing = process.argv[2] === "prepare";
const manifest = readFileSync("package.json", "utf8");
if (preparing) {
  copyFileSync("../../LICENSE", "LICENSE");
  writeFileSync(
    "package.json",
    manifest.replace(CHECKOUT, `{ "types": "./dist/$1.d.ts", "default": "./dist/$1.js" }`),
  );
} else {
  rmSync("LICENSE", { force: true });
  writeFileSync("package.json", manifest.replace(PUBLISHED, `"./src/$1.ts"`));
}
