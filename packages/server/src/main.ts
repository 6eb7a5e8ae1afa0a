import { commandLine } from "./cli/program.ts";

await commandLine().parseAsync();
