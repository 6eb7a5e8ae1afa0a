import { createReadStream, statSync } from "node:fs";
import { extname } from "node:path";
import { pipeline, type Readable } from "node:stream";
import type { SourceRecord } from "@tidemark/client";
import { lineText, readLines } from "@tidemark/protocol/lines";
import { parse } from "csv-parse";
import { readArrayItems, readJsonValue } from "./json-rows.ts";
import type { Format } from "./options.ts";

/** The records of a file, and how much of it was read. */
export interface RecordFile {
  records: AsyncGenerator<SourceRecord & { id: string }>;
  /** The file's size; undefined for standard input. */
  bytes: number | undefined;
  bytesRead(): number;
}

/**
 * Reads a file's rows as records: the row becomes `data`, and its member `idField` the id.
 * @param path of a file, or `-` for standard input
 * @param format default: by the file's extension; NDJSON for standard input
 * @throws Error if the file or its format cannot be read; while records are read, an Error that names the row
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
  if (known === undefined) throw new Error(`The extension of ${path} is unknown: give --format.`);
  return known;
}

/** A row, and where a person finds it. */
interface Row {
  where: string;
  value: unknown;
}

async function* rowsOf(source: AsyncGenerator<Buffer>, format: Format): AsyncGenerator<Row> {
  if (format === "csv") {
    const parser = parse({ bom: true, columns: readHeader, skip_empty_lines: true, info: true });
    // The pipeline hands its error to the parser, and the loop below throws it.
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

/** @throws Error if two columns have one name, because a row can have only one of them */
function readHeader(names: string[]): string[] {
  const repeated = names.find((name, index) => names.indexOf(name) < index);
  if (repeated !== undefined) throw new Error(`Two columns are named ${JSON.stringify(repeated)}.`);
  return names;
}

async function* counted(stream: Readable, count: (bytes: number) => void): AsyncGenerator<Buffer> {
  for await (const chunk of stream) {
    count((chunk as Buffer).length);
    yield chunk as Buffer;
  }
}

/** Decodes UTF-8, and throws for other bytes, because they would be stored as something else. */
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
      throw new Error(`${where}: The row is not an object.`);
    }
    const data = value as Record<string, unknown>;
    const id = Object.hasOwn(data, idField) ? data[idField] : undefined;
    if ((typeof id !== "string" && typeof id !== "number") || id === "") {
      throw new Error(
        `${where}: ${JSON.stringify(idField)} has no text or number; name the id with --id-field.`,
      );
    }
    yield { id: String(id), data };
  }
}
