import { parseArgs } from "node:util";
import { check } from "./check.ts";
import { readJsonFile } from "./config.ts";
import { explain } from "./explain.ts";
import { configError } from "./failure.ts";
import { emitToStdout as emit } from "./messages.ts";
import { SPEC } from "./spec.ts";
import { write } from "./write.ts";

const USAGE = "Usage: spec | check --config FILE | write --config FILE --catalog FILE";

async function run(): Promise<void> {
  const [command, ...args] = process.argv.slice(2);
  const { config, catalog } = readOptions(args);
  if (command === "spec") emit({ type: "SPEC", spec: SPEC });
  else if (command === "check" && config) await check(await readJsonFile(config, "configuration"), emit);
  else if (command === "write" && config && catalog) {
    const settings = await readJsonFile(config, "configuration");
    await write(settings, await readJsonFile(catalog, "catalog"), process.stdin, emit);
  } else throw configError(USAGE);
}

function readOptions(args: string[]): { config?: string; catalog?: string } {
  try {
    // Not strict: Airbyte may pass options that this destination does not know.
    return parseArgs({
      args,
      options: { config: { type: "string" }, catalog: { type: "string" } },
      strict: false,
    }).values as { config?: string; catalog?: string };
  } catch (error) {
    throw configError(USAGE, error);
  }
}

try {
  await run();
} catch (error) {
  const { message, failureType, stream, cause, stack } = explain(error);
  const internal = cause instanceof Error ? cause : undefined;
  const { trace_id: traceId, code } = Object(internal) as { trace_id?: string; code?: string };
  emit({
    type: "TRACE",
    trace: {
      type: "ERROR",
      emitted_at: Date.now(),
      error: {
        message,
        failure_type: failureType,
        internal_message: [code ?? [], internal?.message ?? message, traceId ?? []].flat().join(" "),
        stack_trace: internal?.stack ?? stack,
        ...(stream && { stream_descriptor: stream }),
      },
    },
  });
  process.exitCode = 1;
} finally {
  // Otherwise a source that is still sending would keep the process alive.
  process.stdin.destroy();
}
