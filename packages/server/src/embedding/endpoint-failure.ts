/** The longest pause, ms, even if a server asks for more: quotas are raised, clocks are wrong. */
const RETRY_AFTER_MAX_MS = 10 * 60_000;

/** The longest error message of a server that is passed on. */
const SAID_CHARACTERS_MAX = 300;

/** What a person can do about a status that does not go away by itself. */
const ADVICE: Record<number, string> = {
  401: "check TIDEMARK_EMBEDDINGS_API_KEY",
  403: "check TIDEMARK_EMBEDDINGS_API_KEY",
  404: "check TIDEMARK_EMBEDDINGS_URL and TIDEMARK_EMBEDDINGS_MODEL",
  405: "check TIDEMARK_EMBEDDINGS_URL",
};

/**
 * Describes an error answer.
 * @param body the answer's body, or its beginning
 * @param apiKey the key, which is removed from the description
 * @returns `said`: the server's own message, empty if its form is unknown; `message`: what follows "The endpoint …"
 */
export function describeFailure(
  { status, headers }: { status: number; headers: Headers },
  body: string,
  apiKey: string,
): { said: string; message: string } {
  const whole = apiKey === "" ? saidIn(body) : saidIn(body).replaceAll(apiKey, "…");
  const said = whole
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they have no place in a log
    .replace(/[\s\u0000-\u001f\u007f]+/g, " ")
    .trim()
    .slice(0, SAID_CHARACTERS_MAX)
    .toWellFormed();
  const location = status >= 300 && status < 400 ? headers.get("location") : null;
  const target = location === null ? null : URL.parse(location);
  const advice = target
    ? `it redirects to ${target.origin}${target.pathname}, which TIDEMARK_EMBEDDINGS_URL should name instead`
    : ADVICE[status];
  return { said, message: [`answered ${status}`, advice, said].filter(Boolean).join(": ") };
}

/** The message in an error's body: `{"error": {"message"}}`, `{"error": "…"}`, `{"message"}`, `{"detail"}`. */
function saidIn(body: string): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return "";
  }
  const { error, message, detail } = membersOf(parsed);
  // FastAPI gives a list of errors, each with a message and the wrong input.
  const [first] = Array.isArray(detail) ? detail : [];
  const candidates = [membersOf(error).message, error, message, detail, membersOf(first).msg];
  return candidates.find((text) => typeof text === "string") ?? "";
}

function membersOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/**
 * How long a server asks clients to wait: `Retry-After` in seconds or as a date, or OpenAI's `retry-after-ms`.
 * @param now ms since 1970
 * @returns ms, at most ten minutes; null if it does not say
 */
export function readRetryAfter(headers: Headers, now: number): number | null {
  const afterMs = headers.get("retry-after-ms")?.trim();
  const after = headers.get("retry-after")?.trim();
  const number = /^\d+(\.\d+)?$/;
  let ms = Number.NaN;
  if (afterMs && number.test(afterMs)) ms = Number(afterMs);
  else if (after) ms = number.test(after) ? Number(after) * 1000 : Date.parse(after) - now;
  return Number.isNaN(ms) ? null : Math.min(RETRY_AFTER_MAX_MS, Math.max(0, Math.ceil(ms)));
}
