import { runCommandLine } from "./command-line.ts";

const { stdin, stdout, stderr, env, argv } = process;
// The failed write reports a broken pipe; without a listener the process would end first.
stdout.on("error", () => {});
const code = await runCommandLine(argv.slice(2), {
  input: stdin,
  output: stdout,
  errors: stderr,
  environment: env,
});
// exit(), because the tap may still hold the input open after a failure.
process.exit(code);
