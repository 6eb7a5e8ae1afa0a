#!/usr/bin/env node
import { existsSync } from "node:fs";
import module from "node:module";

if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error(`This destination needs Node 24 or newer; this is Node ${process.versions.node}.`);
  process.exit(1);
}
module.enableCompileCache();
// A checkout runs its TypeScript as it is; the published package has it compiled.
const source = new URL("../src/main.ts", import.meta.url);
await import(existsSync(source) ? source.href : new URL("../dist/main.js", import.meta.url).href);
