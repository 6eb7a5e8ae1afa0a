import { Command } from "commander";
import { readConfig } from "../../config.ts";
import type { Finding } from "../../storage/finding.ts";
import { jsonOption } from "../options.ts";
import { fail } from "../output.ts";

/** `tidemark doctor` */
export function doctorCommand(): Command {
  return new Command("doctor")
    .description(
      `check the database, the index and the embeddings endpoint, and advise what to do

Changes nothing. Exit codes: 0 no check failed, but some may warn; 1 a check failed or could not run.`,
    )
    .addOption(jsonOption())
    .action(async ({ json }: { json: boolean }) => {
      try {
        const { examine } = await import("../../doctor/examine.ts");
        const checks = await examine(readConfig(), Date.now());
        console.log(json ? JSON.stringify({ checks }, null, 2) : describe(checks));
        if (checks.some(({ status }) => status === "failed")) process.exitCode = 1;
      } catch (error) {
        fail(error);
      }
    });
}

function describe(findings: Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.map(({ check, status, message, advice }) => {
    const line = `${status.padEnd(7)}  ${check.padEnd(width)}  ${message}`;
    return advice ? `${line}\n${" ".repeat(width + 11)}${advice}` : line;
  });
  return lines.join("\n");
}
