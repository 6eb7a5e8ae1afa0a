/** Compiles the package in the working directory into its dist/: `npm run build`. */
import { spawnSync } from "node:child_process";
import { cpSync, globSync, rmSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
const { status } = spawnSync("tsc", ["-p", "tsconfig.build.json"], { stdio: "inherit", shell: true });
if (status !== 0) process.exit(1);
// The compiler does not copy the migrations, which are plain SQL.
for (const path of globSync("**/migrations/*.sql", { cwd: "src" })) cpSync(`src/${path}`, `dist/${path}`);
