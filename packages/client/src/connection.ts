import { parseJson } from "@tidemark/protocol/parse-json";
import { errorOfAnswer, TidemarkError } from "./errors.ts";
import { isLimited, type RetryPolicy, retryDelay } from "./retry.ts";

/** Options of every call. */
export interface CallOptions {
  /** Ends the call and its waits; the call rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** How long one attempt may take, including reading its answer, ms. */
  timeoutMs?: number | undefined;
}

/** A wait before a request is sent or sent again. */
export interface Wait {
  reason: "retry" | "rate_limit";
  delayMs: number;
  /** The error of the last attempt; undefined if the client waits for the rate limit before it sends. */
  error?: TidemarkError;
}

/** Waits `ms`; rejects with the signal's reason when that is aborted. */
export type Pause = (ms: number, signal?: AbortSignal) => Promise<void>;

export interface ConnectionOptions {
  /** The server's address, such as `http://127.0.0.1:8787`. */
  url: string;
  apiKey: string;
  /** How long one attempt may take, including reading its answer, ms. Default: 120,000. */
  timeoutMs?: number;
  /** Default: about 25 seconds in total, long enough for a server to restart. */
  retry?: Partial<RetryPolicy>;
  /** Called before every wait. */
  onWait?: (wait: Wait) => void;
  /** Replaces the platform's `fetch`. */
  fetch?: typeof fetch;
  /** Replaces waiting in tests. */
  pause?: Pause;
}

/** The content of a request. */
export interface Content {
  /** Default: POST if there is a body, else GET. */
  method?: string;
  query?: object | undefined;
  /** JSON text, or a value to write as JSON. */
  body?: string | object | undefined;
  headers?: Record<string, string>;
}

/**
 * Sends a request, and sends it again after a failure if that is safe and may help.
 * @param steps the path's steps after those of the connection
 * @returns the answer's JSON
 * @throws TidemarkError of the last attempt; the signal's reason if it was aborted
 */
export type Send = <T>(steps: string[], call?: CallOptions, content?: Content) => Promise<T>;

/** When each exhausted rate limit allows the next request, by name, on the clock of `performance.now()`. */
type OpenTimes = Map<string, number>;

/**
 * Makes the function that sends requests with one key, with timeouts, retries and rate limits.
 * @param below the path's steps after `/v1/` that all requests share
 * @param repeatable the methods of requests that may be applied twice, because that is the same as once
 */
export function connect(options: ConnectionOptions, below: string[], repeatable: string[]): Send {
  const { retry = {}, onWait, pause = pauseFor } = options;
  const openTimes: OpenTimes = new Map();
  return async <T>(steps: string[], call: CallOptions = {}, content: Content = {}) => {
    const { method = content.body ? "POST" : "GET" } = content;
    const wait = (wait: Wait) => {
      onWait?.(wait);
      return pause(wait.delayMs, call.signal);
    };
    const attempts = { retry: 0, rate_limit: 0 };
    for (;;) {
      // A rate limit has its endpoint's name.
      const ahead = (openTimes.get(steps.join()) ?? 0) - performance.now();
      if (ahead > 0) await wait({ reason: "rate_limit", delayMs: ahead });
      try {
        return (await request(options, openTimes, [...below, ...steps], call, { ...content, method })) as T;
      } catch (error) {
        if (!(error instanceof TidemarkError)) throw error;
        const reason = isLimited(error) ? "rate_limit" : "retry";
        const attempt = ++attempts[reason];
        const delayMs = retryDelay(error, repeatable.includes(method), attempt, retry, Math.random());
        if (delayMs === undefined) throw error;
        await wait({ reason, delayMs, error });
      }
    }
  };
}

/** Sends one attempt and reads its answer. @throws as {@link Send} */
async function request(
  { fetch: send = fetch, url, apiKey, timeoutMs: timeoutDefaultMs = 120_000 }: ConnectionOptions,
  openTimes: OpenTimes,
  path: string[],
  { signal, timeoutMs = timeoutDefaultMs }: CallOptions,
  { query = {}, body, ...init }: Content,
): Promise<unknown> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const address = new URL(`${url.replace(/\/+$/, "")}/v1/${path.map(encodeURIComponent).join("/")}`);
  // Through JSON, which leaves undefined members out.
  address.search = `${new URLSearchParams(JSON.parse(JSON.stringify(query)))}`;
  let response: Response;
  let text: string;
  try {
    response = await send(address, {
      ...init,
      headers: {
        "x-api-key": apiKey,
        ...(body && { "content-type": "application/json" }),
        ...init.headers,
      },
      body: typeof body === "string" ? body : (JSON.stringify(body) ?? null),
      // Following a redirect would send the key to another server.
      redirect: "manual",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    text = await response.text();
  } catch (cause) {
    signal?.throwIfAborted();
    throw new TidemarkError(
      timeout.aborted
        ? { code: "TIMED_OUT", message: `No answer within ${timeoutMs} ms.` }
        : { code: "CONNECTION_FAILED", message: `No answer from ${address.origin}.` },
      cause,
    );
  }
  const { ok, status, headers } = response;
  // A 429 has its own `Retry-After`.
  if (status !== 429) noteLimit(openTimes, headers);
  let answer: { components?: unknown } | undefined;
  try {
    answer = parseJson(text) as typeof answer;
  } catch {
    // An answer that is not JSON is not Tidemark's; it becomes an error below.
  }
  // The health of an unhealthy service is an answer too, although its status is 503.
  if (answer && (ok || answer.components)) return answer;
  throw errorOfAnswer(response, answer);
}

/** Reads a `RateLimit` header (draft-ietf-httpapi-ratelimit-headers) of an exhausted limit: `"sync";r=0;t=42`. */
function noteLimit(openTimes: OpenTimes, headers: Headers): void {
  const [, policy, seconds] = /^"(.+)";r=0;t=(\d+)/.exec(headers.get("ratelimit") ?? "") ?? [];
  if (policy) openTimes.set(policy, performance.now() + Number(seconds) * 1000);
}

const pauseFor: Pause = (ms, signal) =>
  new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      if (signal?.aborted) reject(signal.reason);
      else resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
  });
