import { enableCompileCache } from "node:module";
import { commandLine } from "./cli/program.ts";

enableCompileCache();
await commandLine().parseAsync();
