import { runCommandLine } from "./command-line.ts";

const { stdin, stdout, stderr, env, argv } = process;
// A broken pipe is told by the write that met it; without a listener it would end the process first.
stdout.on("error", () => {});
const code = await runCommandLine(argv.slice(2), {
  input: stdin,
  output: stdout,
  errors: stderr,
  environment: env,
});
// Not only exitCode: after a failure the tap may still hold the input open.
process.exit(code);
