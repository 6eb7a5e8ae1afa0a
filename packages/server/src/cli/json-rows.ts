import { parseExactJson } from "@tidemark/protocol/exact-json";

/**
 * Reads one JSON value.
 * @throws SyntaxError; Error for a number that a double cannot hold, because the server would get another number
 */
export function readJsonValue(text: string): unknown {
  return parseExactJson(text, (source) => {
    throw new Error(`${source} cannot be kept exactly; write it as a string`);
  });
}

/**
 * Yields the text of each item of a JSON array without holding the whole array.
 * @throws SyntaxError if the text is not one array; the items' own syntax is not checked
 */
export async function* readArrayItems(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let depth = 0;
  let inString = false;
  let escaped = false;
  let ended = false;
  let items = 0;
  let item = "";
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const character = chunk[at]!;
      if (inString) {
        if (escaped) escaped = false;
        else if (character === "\\") escaped = true;
        else if (character === '"') inString = false;
        continue;
      }
      if (depth === 0) {
        if (/\s|\uFEFF/.test(character)) continue;
        if (character !== "[" || ended) throw new SyntaxError("The file is not one JSON array.");
        depth = 1;
        from = at + 1;
      } else if (character === '"') inString = true;
      else if (character === "[" || character === "{") depth++;
      else if (character === "]" || character === "}") {
        if (--depth > 0) continue;
        if (character !== "]") throw new SyntaxError("The file is not one JSON array.");
        item += chunk.slice(from, at);
        // After a comma, even an empty item is yielded: reading it then fails.
        if (items > 0 || item.trim() !== "") yield item;
        item = "";
        ended = true;
        from = at + 1;
      } else if (character === "," && depth === 1) {
        yield item + chunk.slice(from, at);
        items++;
        item = "";
        from = at + 1;
      }
    }
    if (depth > 0) item += chunk.slice(from);
  }
  if (!ended) throw new SyntaxError("The JSON array does not end.");
}
