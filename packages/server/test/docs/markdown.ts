import { globSync, readFileSync } from "node:fs";

/** The folder of the whole project. */
export const ROOT = new URL("../../../../", import.meta.url);

/** Every Markdown file of the project, relative to {@link ROOT}. */
export function markdownFiles(): string[] {
  return globSync("{*.md,{docs,benchmarks,demo,examples,packages}/**/*.md}", {
    cwd: ROOT,
    exclude: ["**/node_modules/**", "**/dist/**"],
  })
    .map((path) => path.replaceAll("\\", "/"))
    .sort();
}

/** The code blocks of a Markdown file in one language, in order. */
export function codeBlocks(path: string, language: string): string[] {
  const text = readFileSync(new URL(path, ROOT), "utf8");
  return [...text.matchAll(/^( *)```(\w*)\n(.*?)^ *```$/gms)]
    .filter(([, , name]) => name === language)
    .map(([, indent, , code]) => code!.replaceAll(new RegExp(`^${indent}`, "gm"), ""));
}

/** A Markdown text without its code. */
export function withoutCode(text: string): string {
  return text.replaceAll(/^ *```.*?^ *```$/gms, "").replaceAll(/`[^`\n]*`/g, "code");
}
