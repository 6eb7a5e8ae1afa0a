import type { Readable, Writable } from "node:stream";
import { parseArgs } from "node:util";
import { lineText, readLines } from "@tidemark/protocol/lines";
import { about, VERSION_LINE } from "./about.ts";
import { asTargetError, EXIT, TargetError } from "./failure.ts";
import { readSettings } from "./settings.ts";
import { Target } from "./target.ts";

const HELP = `Usage: target-tidemark --config FILE [--config FILE …] < messages

Reads the messages of a Singer tap from standard input, writes their records to a Tidemark store, and prints each
STATE when everything before it is on disk.

  --config FILE    settings as JSON; ENV in place of a file: the variables TARGET_TIDEMARK_<SETTING>
  --about          what it is and its settings; --format=json or --format=markdown
  --version
  --help

Exit codes: 0 all is written; 1 the input or the configuration is wrong; 2 refused by removal_limit;
3 the server could not be reached or failed.`;

/** The process around a run; tests replace it. */
export interface Surroundings {
  input: Readable;
  output: Writable;
  errors: Writable;
  environment: NodeJS.ProcessEnv;
}

/** Runs the target and writes a failure as one line to `errors`. @returns the exit code */
export async function runCommandLine(args: string[], around: Surroundings): Promise<number> {
  try {
    return await run(args, around);
  } catch (error) {
    const { message, exitCode } = asTargetError(error);
    report(around, `error: ${message}`);
    return exitCode;
  }
}

const report = ({ errors }: Surroundings, message: string) => errors.write(`target-tidemark: ${message}\n`);

async function run(args: string[], around: Surroundings): Promise<number> {
  const options = readArguments(args);
  if (options.help) return print(around, HELP);
  if (options.version) return print(around, VERSION_LINE);
  if (options.about) return print(around, about(options.format));
  const settings = readSettings(options.config, around.environment);
  const target = new Target(settings, {
    emit: async (state) => void (await print(around, state)),
    warn: (message) => void report(around, `warning: ${message}`),
  });
  await target.connect();
  // A batch may fail while the tap is silent.
  await Promise.race([readAll(target, around.input), target.writer.failed]);
  const { upserted, deleted } = target.writer.counts;
  report(
    around,
    `${upserted} records written, ${deleted} deleted, ${target.cleared} of older versions removed`,
  );
  return EXIT.done;
}

async function readAll(target: Target, input: Readable): Promise<void> {
  try {
    for await (const lines of readLines(input)) {
      for (const line of lines) {
        const text = lineText(line);
        if (text !== undefined) await target.take(text, line.number);
      }
    }
  } catch (error) {
    // The lines before the faulty one are valid, so they are written and their STATEs go out.
    await target.writer.flush();
    throw error;
  }
  await target.finish();
}

function readArguments(args: string[]) {
  const options = {
    config: { type: "string", multiple: true, short: "c" },
    about: { type: "boolean" },
    format: { type: "string" },
    version: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  } as const;
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];
  try {
    ({ values } = parseArgs({ args, options }));
  } catch (error) {
    throw new TargetError(`${(error as Error).message} See --help.`);
  }
  const { config = [], format = "text", ...flags } = values;
  if (format !== "text" && format !== "json" && format !== "markdown") {
    throw new TargetError("--format must be text, json or markdown.");
  }
  const onlyPrints = flags.help || flags.version || flags.about;
  if (config.length === 0 && !onlyPrints) throw new TargetError("--config FILE is missing. See --help.");
  return { config, format, ...flags } as const;
}

/** Writes a line. @returns 0 when the stream has accepted it */
function print({ output }: Surroundings, line: string): Promise<number> {
  return new Promise((resolve, reject) => {
    output.write(`${line}\n`, (error) => (error ? reject(error) : resolve(EXIT.done)));
  });
}
