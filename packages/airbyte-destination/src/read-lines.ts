/**
 * The lines of a stream of bytes, as many at a time as came together. Only a line feed ends one: JSON texts may hold
 * the other characters that end lines elsewhere.
 */
export async function* readLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<string[], void> {
  const decoder = new TextDecoder();
  let rest: string[] = [];
  for await (const bytes of input) {
    const [first, ...lines] = decoder.decode(bytes, { stream: true }).split("\n");
    // A long line comes in many pieces: they are joined once.
    rest.push(first!);
    if (lines.length === 0) continue;
    lines.unshift(rest.join(""));
    rest = [lines.pop()!];
    yield lines;
  }
  const last = rest.join("") + decoder.decode();
  if (last !== "") yield [last];
}
