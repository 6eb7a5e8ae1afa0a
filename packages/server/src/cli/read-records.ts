import { createReadStream, statSync } from "node:fs";
import { extname } from "node:path";
import { pipeline, type Readable } from "node:stream";
import type { SourceRecord } from "@tidemark/client";
import { lineText, readLines } from "@tidemark/protocol/lines";
import { parse } from "csv-parse";
import { readArrayItems, readJsonValue } from "./json-rows.ts";
import type { Format } from "./options.ts";

/** The records of a file, and how far it was read. */
export interface RecordFile {
  records: AsyncGenerator<SourceRecord & { id: string }>;
  /** Its bytes; undefined for standard input. */
  bytes: number | undefined;
  bytesRead(): number;
}

/**
 * Reads a file's rows as records: `data` is the row, the id is one of its members.
 * @param path of a file, or `-` for standard input
 * @param format default: by the file's name; NDJSON for standard input
 * @throws Error; while records are read, one that names the row
 */
export function readRecords(path: string, idField: string, format: Format = formatOf(path)): RecordFile {
  const isInput = path === "-";
  const bytes = isInput ? undefined : statSync(path).size;
  let bytesRead = 0;
  const source = counted(isInput ? process.stdin : createReadStream(path), (count) => {
    bytesRead += count;
  });
  return { records: toRecords(rowsOf(source, format), idField), bytes, bytesRead: () => bytesRead };
}

function formatOf(path: string): Format {
  if (path === "-") return "ndjson";
  const format = { ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".csv": "csv" } as const;
  const known = format[extname(path).toLowerCase() as keyof typeof format];
  if (known === undefined) throw new Error(`The format of ${path} is not known by its name: give --format.`);
  return known;
}

/** A row, and how a person finds it. */
interface Row {
  where: string;
  value: unknown;
}

async function* rowsOf(source: AsyncGenerator<Buffer>, format: Format): AsyncGenerator<Row> {
  if (format === "csv") {
    const parser = parse({ bom: true, columns: readHeader, skip_empty_lines: true, info: true });
    // Its error is the parser's too, and is thrown where the parser is read.
    pipeline(decode(source), parser, () => {});
    for await (const { record, info } of parser) yield { where: `line ${info.lines}`, value: record };
  } else if (format === "json") {
    let item = 0;
    for await (const itemText of readArrayItems(decode(source))) yield readRow(`item ${++item}`, itemText);
  } else {
    for await (const lines of readLines(source)) {
      for (const line of lines) {
        const text = lineText(line);
        if (text !== undefined) yield readRow(`line ${line.number}`, text);
      }
    }
  }
}

/** @throws Error for two columns of one name, of which a row could keep only one */
function readHeader(names: string[]): string[] {
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined) throw new Error(`There are two columns ${JSON.stringify(twice)}.`);
  return names;
}

async function* counted(stream: Readable, count: (bytes: number) => void): AsyncGenerator<Buffer> {
  for await (const chunk of stream) {
    count((chunk as Buffer).length);
    yield chunk as Buffer;
  }
}

/** Bytes that are not UTF-8 are an error: they would be kept as something else. */
async function* decode(source: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for await (const chunk of source) yield decoder.decode(chunk, { stream: true });
  yield decoder.decode();
}

function readRow(where: string, text: string): Row {
  try {
    return { where, value: readJsonValue(text) };
  } catch (error) {
    throw new Error(`${where}: ${(error as Error).message}`);
  }
}

async function* toRecords(
  rows: AsyncIterable<Row>,
  idField: string,
): AsyncGenerator<SourceRecord & { id: string }> {
  for await (const { where, value } of rows) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new Error(`${where}: It is not an object.`);
    }
    const data = value as Record<string, unknown>;
    const id = Object.hasOwn(data, idField) ? data[idField] : undefined;
    if ((typeof id !== "string" && typeof id !== "number") || id === "") {
      throw new Error(`${where}: There is no text or number in ${JSON.stringify(idField)} (--id-field).`);
    }
    yield { id: String(id), data };
  }
}
