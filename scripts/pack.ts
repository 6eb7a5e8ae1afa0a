/**
 * Prepares the package in the working directory for publishing, and restores it afterwards.
 * `npm pack` and `npm publish` run it as `prepack` and `postpack` of every package.
 *
 *   node ../../scripts/pack.ts prepare|restore
 *
 * In a checkout, `exports` names src/, because Node strips the types. Node does not do that below node_modules, so the
 * published package names dist/.
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
