import { errorOfAnswer, TidemarkError } from "./errors.ts";
import { RETRY_POLICY, type RetryPolicy, retryDelay } from "./retry.ts";

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
  /** Default: 8 attempts, 250 ms and then twice as long each time, at most 30 s. */
  retry?: Partial<RetryPolicy>;
  /** Told of every wait. */
  onWait?: (wait: Wait) => void;
  /** In place of the platform's `fetch`. */
  fetch?: typeof fetch;
  /** In place of waiting: for tests. */
  pause?: Pause;
}

export interface Call extends CallOptions {
  query?: Record<string, string | number | undefined> | undefined;
  /** JSON text as it is sent, or a value to be written as JSON. */
  body?: string | object | undefined;
  headers?: Record<string, string>;
  /** Whether applying the request twice is the same as once. Default: for GET. */
  repeatable?: boolean;
  /** The rate limit that it counts for: `sync`, `check-exists`. */
  policy?: string;
  /** Whether a 503 may have the answer in its body. */
  unhealthy?: boolean;
}

const TIMEOUT_MS = 120_000;

/** Sends requests to one server with one key: timeouts, retries, rate limits, errors. */
export class Connection {
  #options: ConnectionOptions;
  /** When a rate limit that is used up lets the next request in, ms since 1970. */
  #openAgain = new Map<string, number>();

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /**
   * Sends a request, again where that is safe and may help.
   * @returns the answer's JSON
   * @throws TidemarkError the last attempt's; the signal's reason if it was aborted
   */
  async call<T>(method: string, path: string, call: Call): Promise<T> {
    const { repeatable = method === "GET", policy = "", signal } = call;
    const { retry, onWait, pause = pauseFor } = this.#options;
    const wait = (wait: Wait) => {
      onWait?.(wait);
      return pause(wait.delayMs, signal);
    };
    for (let attempt = 1, limited = 1; ; ) {
      const ahead = (this.#openAgain.get(policy) ?? 0) - Date.now();
      if (ahead > 0) await wait({ reason: "rate_limit", delayMs: ahead });
      try {
        return (await this.#attempt(method, path, call)) as T;
      } catch (error) {
        if (!(error instanceof TidemarkError)) throw error;
        const reason = error.is("RATE_LIMIT_EXCEEDED") ? "rate_limit" : "retry";
        const count = reason === "retry" ? attempt++ : limited++;
        const delayMs = retryDelay(error, repeatable, count, { ...RETRY_POLICY, ...retry }, Math.random());
        if (delayMs === undefined) throw error;
        await wait({ reason, delayMs, error });
      }
    }
  }

  /** One request and its whole answer. */
  async #attempt(method: string, path: string, call: Call): Promise<unknown> {
    const { fetch: send = fetch, url, apiKey, timeoutMs: usual = TIMEOUT_MS } = this.#options;
    const { signal, query = {}, body, timeoutMs = usual } = call;
    signal?.throwIfAborted();
    const timeout = AbortSignal.timeout(timeoutMs);
    const address = new URL(url.replace(/\/+$/, "") + path);
    // Written as JSON, so that members that are undefined are left out.
    address.search = `${new URLSearchParams(JSON.parse(JSON.stringify(query)))}`;
    let response: Response;
    let text: string;
    try {
      response = await send(address, {
        method,
        headers: {
          "x-api-key": apiKey,
          ...(body && { "content-type": "application/json" }),
          ...call.headers,
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
    if (status !== 429) this.#noteLimit(headers);
    let answer: { error?: unknown } | undefined;
    try {
      answer = JSON.parse(text);
    } catch {
      // What is not JSON is not Tidemark's, and an error below.
    }
    if (answer && (ok || (call.unhealthy && status === 503 && !answer.error))) return answer;
    throw errorOfAnswer(response, answer);
  }

  /** Reads the `RateLimit` header of draft-ietf-httpapi-ratelimit-headers, such as `"sync";r=99;t=42`. */
  #noteLimit(headers: Headers): void {
    const [, policy, left, seconds] = /^"(.+)";r=(\d+);t=(\d+)/.exec(headers.get("ratelimit") ?? "") ?? [];
    if (policy) this.#openAgain.set(policy, left === "0" ? Date.now() + Number(seconds) * 1000 : 0);
  }
}

const pauseFor: Pause = (ms, signal) =>
  new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
  });
