import { parseJson } from "@tidemark/protocol/parse-json";
import { errorOfAnswer, TidemarkError } from "./errors.ts";
import { isLimited, type RetryPolicy, retryDelay } from "./retry.ts";

/** What every call may have. */
export interface CallOptions {
  /** Ends the call, its waits included; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** How long one attempt may take until its answer was read, ms. */
  timeoutMs?: number | undefined;
}

/** A wait before a request is sent, or sent again. */
export interface Wait {
  reason: "retry" | "rate_limit";
  delayMs: number;
  /** What went wrong; undefined where the client keeps within the rate limit by itself. */
  error?: TidemarkError;
}

/** Waits. Rejects with the signal's reason when it is aborted. */
export type Pause = (ms: number, signal?: AbortSignal) => Promise<void>;

export interface ConnectionOptions {
  /** Where the server is, such as `http://127.0.0.1:8787`. */
  url: string;
  apiKey: string;
  /** How long one attempt may take until its answer was read, ms. Default: 120,000. */
  timeoutMs?: number;
  /** Some 25 seconds in all by default: long enough for a server that starts again. */
  retry?: Partial<RetryPolicy>;
  /** Told of every wait. */
  onWait?: (wait: Wait) => void;
  /** In place of the platform's `fetch`. */
  fetch?: typeof fetch;
  /** In place of waiting: for tests. */
  pause?: Pause;
}

/** What a request carries. */
export interface Content {
  /** Default: POST where there is a body, else GET. */
  method?: string;
  query?: object | undefined;
  /** JSON text as it is sent, or a value to be written as JSON. */
  body?: string | object | undefined;
  headers?: Record<string, string>;
}

/**
 * Sends a request, again where that is safe and may help.
 * @param steps of its path, below the connection's
 * @returns the answer's JSON
 * @throws TidemarkError the last attempt's; the signal's reason if it was aborted
 */
export type Send = <T>(steps: string[], call?: CallOptions, content?: Content) => Promise<T>;

/** When each rate limit that is used up lets the next request in, by its name: ms since 1970. */
type OpenAgain = Map<string, number>;

/**
 * What sends requests to one server with one key: timeouts, retries, rate limits, errors.
 * @param below the steps of the path that all requests have in common, after `/v1/`
 * @param repeatable the methods of requests that may be applied twice: it is the same as once
 */
export function connect(options: ConnectionOptions, below: string[], repeatable: string[]): Send {
  const { retry = {}, onWait, pause = pauseFor } = options;
  const openAgain: OpenAgain = new Map();
  return async <T>(steps: string[], call: CallOptions = {}, content: Content = {}) => {
    const { method = content.body ? "POST" : "GET" } = content;
    const wait = (wait: Wait) => {
      onWait?.(wait);
      return pause(wait.delayMs, call.signal);
    };
    const attempts = { retry: 0, rate_limit: 0 };
    for (;;) {
      // A rate limit has the name of its endpoint.
      const ahead = (openAgain.get(steps.join()) ?? 0) - performance.now();
      if (ahead > 0) await wait({ reason: "rate_limit", delayMs: ahead });
      try {
        return (await request(options, openAgain, [...below, ...steps], call, { ...content, method })) as T;
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

/** One request and its whole answer. @throws as {@link Send} */
async function request(
  { fetch: send = fetch, url, apiKey, timeoutMs: usual = 120_000 }: ConnectionOptions,
  openAgain: OpenAgain,
  path: string[],
  { signal, timeoutMs = usual }: CallOptions,
  { query = {}, body, ...init }: Content,
): Promise<unknown> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const address = new URL(`${url.replace(/\/+$/, "")}/v1/${path.map(encodeURIComponent).join("/")}`);
  // Written as JSON, so that members that are undefined are left out.
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
      // Followed, it would take the key to another server.
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
  // A refusal says itself how long to wait.
  if (status !== 429) noteLimit(openAgain, headers);
  let answer: { components?: unknown } | undefined;
  try {
    answer = parseJson(text) as typeof answer;
  } catch {
    // What is not JSON is not Tidemark's, and an error below.
  }
  // That of an unhealthy service is a 503, and has its components.
  if (answer && (ok || answer.components)) return answer;
  throw errorOfAnswer(response, answer);
}

/** Reads the `RateLimit` header of draft-ietf-httpapi-ratelimit-headers where nothing is left: `"sync";r=0;t=42`. */
function noteLimit(openAgain: OpenAgain, headers: Headers): void {
  const [, policy, seconds] = /^"(.+)";r=0;t=(\d+)/.exec(headers.get("ratelimit") ?? "") ?? [];
  if (policy) openAgain.set(policy, performance.now() + Number(seconds) * 1000);
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
