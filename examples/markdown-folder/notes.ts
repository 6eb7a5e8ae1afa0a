import { readdir, readFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import type { SourceRecord } from "@tidemark/client";
import { parse } from "yaml";

/** YAML between two lines of dashes at the beginning of a file. */
const FRONT_MATTER = /^---[ \t]*\r?\n(.*?)(?<=\n)---[ \t]*(?:\r?\n|$)/s;

/**
 * Every Markdown file of a folder as a record whose id is its path in the folder. Hidden files and folders, and
 * symbolic links, are passed over.
 * @throws Error if a file or folder cannot be read: what was left out would be deleted
 */
export async function* readNotes(folder: string): AsyncGenerator<SourceRecord> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)))
    .filter((path) => path.endsWith(".md") && !path.split(sep).some((step) => step.startsWith(".")));
  for (const path of paths.sort()) {
    const id = path.replaceAll(sep, "/");
    try {
      // Not the file's times: a checkout or a restored backup changes them, and no note.
      yield { id, data: readNote(id, await readFile(join(folder, path))), source_system: "markdown" };
    } catch (cause) {
      throw new Error(`${path}: ${(cause as Error).message}`, { cause });
    }
  }
}

/** A note's front matter, its title (or else its first heading, or its file's name) and its text. */
function readNote(id: string, bytes: Uint8Array): Record<string, unknown> {
  const file = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  const [block, matter] = FRONT_MATTER.exec(file) ?? [];
  const fields: unknown = matter && parse(matter);
  const text = block ? file.slice(block.length) : file;
  const heading = /^# +(.+?)[ #]*$/m.exec(text)?.[1];
  const title = heading ?? id.split("/").at(-1)!.slice(0, -".md".length);
  // Between two rules there may be something else than fields: then it is text.
  if (!isObject(fields)) return { title, text: file };
  return { title, ...fields, text };
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);
