import { TargetError } from "./failure.ts";

/**
 * Cuts a stream of UTF-8 into lines, at every line feed; empty ones are left out.
 * @returns each with its number, from 1 on
 * @throws TargetError if it is not UTF-8
 */
export async function* readLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<[string, number], void> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let number = 0;
  // A long line comes in many pieces.
  let pieces: string[] = [];
  const decode = (bytes?: Uint8Array) => {
    try {
      return bytes ? decoder.decode(bytes, { stream: true }) : decoder.decode();
    } catch {
      throw new TargetError("The input is not valid UTF-8.", { line: number + 1 });
    }
  };
  for await (const chunk of input) {
    const lines = decode(chunk).split("\n");
    const last = lines.pop()!;
    for (const part of lines) {
      number++;
      const line = pieces.length > 0 ? pieces.join("") + part : part;
      pieces = [];
      if (line.trim() !== "") yield [line, number];
    }
    if (last !== "") pieces.push(last);
  }
  const line = pieces.join("") + decode();
  if (line.trim() !== "") yield [line, number + 1];
}
