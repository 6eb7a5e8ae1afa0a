import { createHash, type Hash, hash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { type Line, LineError, lineText, readLines } from "@tidemark/protocol/lines";
import type { Row } from "./pages.ts";
import { ACCESS_TABLES, type Kind, LEDGER_TABLES, OLDER_NAMES, SCHEMA, type Table } from "./tables.ts";

/**
 * The format of an export: lines of JSON. The first is the header. A section for each store follows, then a section of
 * the access tables, then the last line. A section has a line that begins it, pages of rows, and a line that ends it. A
 * page is a line with table, number of rows and SHA-256, then one array per row. docs/guides/moving.md documents it.
 */
export const FORMAT = 1;

export interface ExportHeader {
  tidemark_export: number;
  schema: number;
  export_id: string;
  /** The version of Tidemark that wrote it. */
  version: string;
  exported_at: string;
  /** The requested store; null: all stores. */
  store: string | null;
  /** The columns of every table. */
  tables: Record<string, string[]>;
  /** The ids in the export, so that an import can reject existing ones before it writes anything. */
  organizations: { id: string; created_at: number }[];
  connectors: string[];
  stores: string[];
}

interface PageLine {
  page: string;
  rows: number;
  /** Hash of the rows' lines with their line ends, in hex. */
  sha256: string;
}
interface LastLine {
  end: "export";
  /** The number of lines before this one. */
  lines: number;
  /** Hash of all earlier lines that are not rows. */
  sha256: string;
}

/** The end of a line in a file, with what is needed to continue there. */
export interface Position {
  bytes: number;
  lines: number;
  control: Hash;
}

export type ExportEvent =
  | { type: "header"; header: ExportHeader; position: Position }
  | { type: "store"; id: string; snapshot: string }
  | { type: "page"; table: Table; rows: Row[] }
  | { type: "storeEnd"; id: string; revision: number; position: Position }
  | { type: "end"; lines: number };

/** Writes text of an export; resolves when it can take more. */
export type Sink = (text: string) => Promise<void>;

/** The columns of every table. @param names the other names of tables and columns in a file */
export function tableColumns(names: Record<string, string> = {}): Record<string, string[]> {
  const nameOf = (name: string) => names[name] ?? name;
  return Object.fromEntries(
    [...LEDGER_TABLES, ...ACCESS_TABLES].map(({ name, columns }) => [
      nameOf(name),
      Object.keys(columns).map(nameOf),
    ]),
  );
}

/** Writes the lines of an export. */
export class ExportWriter {
  #sink: Sink;
  #lines: number;
  #control: Hash;
  #sectionRows = 0;

  /** @param from where to continue a file; absent: it is new */
  constructor(sink: Sink, from?: Position) {
    this.#sink = sink;
    this.#lines = from?.lines ?? 0;
    this.#control = from?.control.copy() ?? createHash("sha256");
  }

  header(header: ExportHeader): Promise<void> {
    return this.#writeControl(header);
  }

  /** @param snapshot an id that differs each time a store is exported, even into the same file */
  beginStore(id: string, snapshot: string): Promise<void> {
    return this.#beginSection({ section: "store", id, snapshot });
  }

  /** Begins the section of the access tables, which follows those of the stores. */
  beginAccess(): Promise<void> {
    return this.#beginSection({ section: "access" });
  }

  async page({ name }: Table, rows: Row[]): Promise<void> {
    const text = rows.map((row) => `${JSON.stringify(row)}\n`).join("");
    const line: PageLine = { page: name, rows: rows.length, sha256: hash("sha256", text, "hex") };
    this.#sectionRows += rows.length;
    await this.#writeControl(line, text);
    this.#lines += rows.length;
  }

  endStore(revision: number): Promise<void> {
    return this.#writeControl({ end: "store", rows: this.#sectionRows, revision });
  }

  endAccess(): Promise<void> {
    return this.#writeControl({ end: "access", rows: this.#sectionRows });
  }

  end(): Promise<void> {
    const line: LastLine = { end: "export", lines: this.#lines, sha256: this.#control.copy().digest("hex") };
    return this.#writeControl(line);
  }

  #beginSection(line: object): Promise<void> {
    this.#sectionRows = 0;
    return this.#writeControl(line);
  }

  async #writeControl(line: object, rows = ""): Promise<void> {
    const text = `${JSON.stringify(line)}\n`;
    this.#control.update(text);
    this.#lines++;
    await this.#sink(text + rows);
  }
}

/** The longest line that is read; lines of an export are shorter. */
const LINE_BYTES_MAX = 512 * 1024 * 1024;
const CUT_OFF = "is missing or incomplete: the file is cut off";

const NO_HEADER = "is not the header of a Tidemark export";

const fault = (line: number, what: string) => new Error(`Line ${line} of the export ${what}.`);

async function* linesOf(source: AsyncIterable<Buffer>): AsyncGenerator<Line> {
  try {
    for await (const lines of readLines(source, LINE_BYTES_MAX)) yield* lines;
  } catch (error) {
    throw error instanceof LineError ? fault(error.line, error.fault) : error;
  }
}

/**
 * Reads and checks an export: it yields a page only after checking the page's hash.
 * @param source the bytes of the export
 * @throws Error that names the damaged line
 */
export async function* readExport(source: AsyncIterable<Buffer>): AsyncGenerator<ExportEvent> {
  const reader = new ExportReader(source);
  try {
    yield* reader.events();
  } finally {
    await reader.close();
  }
}

class ExportReader {
  #lines: AsyncGenerator<Line>;
  #line: Line = { number: 0, bytes: Buffer.alloc(0) };
  /** Bytes up to the end of `#line`. */
  #bytes = 0;
  #control = createHash("sha256");
  /** The file's names of tables and columns that were renamed since. */
  #names: Record<string, string> = {};

  constructor(source: AsyncIterable<Buffer>) {
    this.#lines = linesOf(source);
  }

  async close(): Promise<void> {
    await this.#lines.return(undefined);
  }

  async *events(): AsyncGenerator<ExportEvent> {
    const header = checkHeader(await this.#controlLine());
    this.#names = OLDER_NAMES[header.schema]!;
    yield { type: "header", header, position: this.#position() };
    for (const id of header.stores) {
      const line = (await this.#controlLine()) as { snapshot?: unknown };
      const snapshot = String(line.snapshot);
      this.#expect(line, { section: "store", id, snapshot });
      yield { type: "store", id, snapshot };
      const { revision } = yield* this.#section("store", LEDGER_TABLES);
      yield { type: "storeEnd", id, revision, position: this.#position() };
    }
    this.#expect(await this.#controlLine(), { section: "access" });
    yield* this.#section("access", ACCESS_TABLES);
    const sha256 = this.#control.copy().digest("hex");
    const lines = this.#line.number;
    const last = (await this.#controlLine()) as Partial<LastLine>;
    if (last.end === "export" && last.sha256 !== sha256) {
      throw fault(lines + 1, "does not match the hash of the lines before it: one of them is damaged");
    }
    this.#expect(last, { end: "export", lines, sha256 });
    if (!(await this.#lines.next()).done) throw fault(lines + 2, "follows the last line");
    yield { type: "end", lines };
  }

  /** The pages of a section, up to its end. */
  async *#section(name: string, tables: Table[]): AsyncGenerator<ExportEvent, { revision: number }> {
    let rows = 0;
    for (;;) {
      const line = (await this.#controlLine()) as Partial<PageLine> & Partial<{ revision: number }>;
      const table = tables.find(({ name }) => (this.#names[name] ?? name) === line.page);
      if (!table) {
        const revision = line.revision ?? 0;
        this.#expect(line, name === "store" ? { end: name, rows, revision } : { end: name, rows });
        return { revision };
      }
      const page = await this.#page(line as PageLine, table);
      rows += page.length;
      yield { type: "page", table, rows: page };
    }
  }

  async #page({ rows, sha256 }: PageLine, table: Table): Promise<Row[]> {
    const first = this.#line.number + 1;
    const digest = createHash("sha256");
    const lines: Line[] = [];
    if (!Number.isSafeInteger(rows) || rows < 1) throw fault(first - 1, "is damaged");
    while (lines.length < rows) {
      const line = await this.#next();
      digest.update(line.bytes);
      lines.push(line);
    }
    const kinds = Object.values(table.columns);
    const page = lines.map((line) => readRow(line, kinds));
    if (digest.digest("hex") !== sha256) {
      throw fault(first, `or one of the ${rows - 1} after it is damaged: their hash does not match`);
    }
    return page;
  }

  async #controlLine(): Promise<unknown> {
    const line = await this.#next();
    this.#control.update(line.bytes);
    const { number } = line;
    const value = parseLine(line);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
    throw fault(number, number === 1 ? NO_HEADER : "is damaged");
  }

  async #next(): Promise<Line> {
    const { value, done } = await this.#lines.next();
    if (done) throw fault(this.#line.number + 1, CUT_OFF);
    if (value.bytes.at(-1) !== 10) throw fault(value.number, CUT_OFF);
    this.#line = value;
    this.#bytes += value.bytes.length;
    return value;
  }

  #expect(line: unknown, expected: object): void {
    if (!isDeepStrictEqual(line, expected))
      throw fault(this.#line.number, "is not the line that must follow");
  }

  #position(): Position {
    return { bytes: this.#bytes, lines: this.#line.number, control: this.#control.copy() };
  }
}

/** The JSON value of a line; undefined if it is not JSON. `JSON.parse` reads this format's keys correctly. */
function parseLine(line: Line): unknown {
  try {
    return JSON.parse(lineText(line) ?? "");
  } catch {
    return undefined;
  }
}

function readRow(line: Line, kinds: Kind[]): Row {
  const row = parseLine(line);
  const fits =
    Array.isArray(row) &&
    row.length === kinds.length &&
    kinds.every((kind, index) => isOfKind(row[index], kind));
  if (!fits) throw fault(line.number, "is damaged");
  return (row as Row).map((value, index) =>
    kinds[index] === "nanoseconds" && value !== null ? BigInt(value) : value,
  );
}

function isOfKind(value: unknown, kind: Kind): boolean {
  if (value === null) return true;
  if (kind === "number") return Number.isSafeInteger(value);
  return typeof value === "string" && (kind === "text" || /^-?\d{1,19}$/.test(value));
}

/** @throws Error if this version of Tidemark cannot read the export */
function checkHeader(line: unknown): ExportHeader {
  const header = line as ExportHeader;
  if (header.tidemark_export === undefined) {
    throw fault(1, NO_HEADER);
  }
  const names = header.tidemark_export === FORMAT ? OLDER_NAMES[header.schema] : undefined;
  if (!names || !isDeepStrictEqual(header.tables, tableColumns(names))) {
    throw new Error(
      `The export was written by Tidemark ${header.version} (format ${header.tidemark_export}, schema ` +
        `${header.schema}); this version reads format ${FORMAT}, schema ${SCHEMA}. Export and import with the same version.`,
    );
  }
  const listed = [header.organizations, header.connectors, header.stores].every(Array.isArray);
  if (!listed || typeof header.export_id !== "string") throw fault(1, "is damaged");
  return header;
}
