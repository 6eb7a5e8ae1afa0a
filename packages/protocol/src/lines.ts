/** A line of a stream of bytes. */
export interface Line {
  /** Starts at 1. */
  number: number;
  /** Includes the line feed; the last line may have none. */
  bytes: Uint8Array;
}

const LINE_FEED = 0x0a;

/**
 * Yields the lines of a stream of bytes, together if they arrive together. Only a line feed ends a line, because JSON
 * texts may contain other line ends.
 *
 * @param bytesMax limit of a line's bytes
 * @throws LineError for a line that is longer
 */
export async function* readLines(
  source: AsyncIterable<Uint8Array>,
  bytesMax: number = Number.POSITIVE_INFINITY,
): AsyncGenerator<Line[], void> {
  let number = 0;
  // The pieces of a long line are joined only once.
  let pieces: Uint8Array[] = [];
  let held = 0;
  for await (const chunk of source) {
    const lines: Line[] = [];
    let start = 0;
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, start)) {
      const end = chunk.subarray(start, at + 1);
      lines.push({ number: ++number, bytes: pieces.length > 0 ? join([...pieces, end]) : end });
      pieces = [];
      held = 0;
      start = at + 1;
    }
    if (start < chunk.length) pieces.push(chunk.subarray(start));
    held += chunk.length - start;
    if (lines.length > 0) yield lines;
    if (held > bytesMax) throw new LineError(number + 1, `has more than ${bytesMax} bytes`);
  }
  if (pieces.length > 0) yield [{ number: number + 1, bytes: join(pieces) }];
}

function join(pieces: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * The text of a line without its line feed; undefined if it is blank.
 * @throws LineError if it is not UTF-8, because it would be stored as something else
 */
export function lineText({ number, bytes }: Line): string | undefined {
  const end = bytes.at(-1) === LINE_FEED ? -1 : bytes.length;
  let text: string;
  try {
    text = decoder.decode(bytes.subarray(0, end));
  } catch {
    throw new LineError(number, "is not valid UTF-8");
  }
  return text.trim() === "" ? undefined : text;
}

/** A line that cannot be read. */
export class LineError extends Error {
  override readonly name = "LineError";
  readonly line: number;
  /** What is wrong, such as "is not valid UTF-8". */
  readonly fault: string;

  constructor(line: number, fault: string) {
    super(`Line ${line} ${fault}.`);
    this.line = line;
    this.fault = fault;
  }
}
