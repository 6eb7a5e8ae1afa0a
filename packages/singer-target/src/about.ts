import { readFileSync } from "node:fs";
import { SETTINGS } from "./settings.ts";

const { name, version, description } = JSON.parse(
  readFileSync(new URL("../package.json", import.meta.url), "utf8"),
) as Record<string, string>;

/** What `--version` prints. */
export const VERSION_LINE = `target-tidemark v${version}`;

/** What `--about` prints, in the formats of Meltano's SDK. */
export function about(format: "text" | "json" | "markdown"): string {
  if (format === "json") {
    const capabilities = ["about", "validate-records", "hard-delete", "activate-version", "record-metadata"];
    const settings = { $schema: "http://json-schema.org/draft-07/schema#", ...SETTINGS };
    return JSON.stringify(
      { name: "target-tidemark", package: name, description, version, capabilities, settings },
      null,
      2,
    );
  }
  const rows = Object.entries(SETTINGS.properties).map(([setting, { description, ...more }]) => {
    const needed = SETTINGS.required.includes(setting);
    const fallback = "default" in more && String(more.default) !== "" ? JSON.stringify(more.default) : "";
    return { setting, needed, fallback, description };
  });
  if (format === "markdown") {
    const lines = rows.map(
      ({ setting, needed, fallback, description }) =>
        `| \`${setting}\` | ${needed ? "required" : fallback && `\`${fallback}\``} | ${description} |`,
    );
    return ["| setting | default | meaning |", "| --- | --- | --- |", ...lines].join("\n");
  }
  const lines = rows.map(({ setting, needed, fallback, description }) => {
    const note = needed ? " (required)" : fallback && ` (default: ${fallback})`;
    return `  ${setting}${note}\n      ${description}`;
  });
  return [`${VERSION_LINE}: ${description}`, "", "Settings:", ...lines].join("\n");
}
