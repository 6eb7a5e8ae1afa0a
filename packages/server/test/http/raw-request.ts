import { connect } from "node:net";

export interface RawAnswer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of every shape
  body: any;
}

/**
 * Sends these exact bytes, which an HTTP client could not send, and reads the answer.
 * @param options.halfClose ends the sending side afterwards, like a caller that dies
 */
export async function sendRaw(
  url: string,
  bytes: string | Uint8Array,
  { halfClose = false } = {},
): Promise<RawAnswer> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.write(bytes);
  if (halfClose) socket.end();
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of socket) {
      chunks.push(chunk);
      const answer = parseAnswer(Buffer.concat(chunks).toString());
      if (answer) return answer;
    }
  } finally {
    socket.destroy();
  }
  throw new Error(`The connection was closed after ${JSON.stringify(Buffer.concat(chunks).toString())}`);
}

/** Returns the request line and headers of a request. */
export function head(method: string, path: string, headers: Record<string, string | number> = {}): string {
  const lines = Object.entries({ Host: "127.0.0.1", ...headers }).map(([name, value]) => `${name}: ${value}`);
  return `${[`${method} ${path} HTTP/1.1`, ...lines].join("\r\n")}\r\n\r\n`;
}

/** Encodes a body for `Transfer-Encoding: chunked`, with chunks of at most `size` characters. */
export function chunked(text: string, size = 10_000): string {
  let chunks = "";
  for (let i = 0; i < text.length; i += size) {
    const chunk = text.slice(i, i + size);
    chunks += `${chunk.length.toString(16)}\r\n${chunk}\r\n`;
  }
  return `${chunks}0\r\n\r\n`;
}

/** Parses the answer; undefined while it is incomplete. */
function parseAnswer(text: string): RawAnswer | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [statusLine, ...lines] = text.slice(0, end).split("\r\n");
  const headers = new Headers(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }),
  );
  const body = text.slice(end + 4);
  if (Buffer.byteLength(body) < Number(headers.get("content-length") ?? 0)) return undefined;
  return {
    status: Number(statusLine!.split(" ")[1]),
    headers,
    body: body ? JSON.parse(body) : undefined,
  };
}
