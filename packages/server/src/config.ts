import { LIMITS } from "@tidemark/protocol/limits";

/** One setting: its environment variable, default, unit and meaning. docs/reference/settings.md is made from these. */
interface Setting<T> {
  variable: string;
  default: T;
  description: string;
  read(text: string): T | undefined;
  expects: string;
  /** Whether no message may show the value. */
  secret?: true;
}

const text = (variable: string, fallback: string, description: string): Setting<string> => ({
  variable,
  default: fallback,
  description,
  read: (value) => value || undefined,
  expects: "some text",
});

const integer = (
  variable: string,
  fallback: number,
  [minimum, maximum]: [number, number],
  description: string,
): Setting<number> => ({
  variable,
  default: fallback,
  description,
  read: (value) => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    return number >= minimum && number <= maximum ? number : undefined;
  },
  expects: `a whole number from ${minimum} to ${maximum}`,
});

const port = (variable: string, fallback: number, description: string) =>
  integer(variable, fallback, [0, 65_535], description);

const oneOf = <T extends string>(
  variable: string,
  fallback: T,
  choices: readonly T[],
  description: string,
): Setting<T> => ({
  variable,
  default: fallback,
  description,
  read: (value) => choices.find((choice) => choice === value),
  expects: `one of ${choices.join(", ")}`,
});

const list = (variable: string, description: string): Setting<string[]> => ({
  variable,
  default: [],
  description,
  read: (value) =>
    value
      .split(",")
      .map((item) => item.trim())
      .filter(Boolean),
  expects: "a comma-separated list",
});

const webAddress = (variable: string, description: string): Setting<string> => ({
  variable,
  default: "",
  description,
  read: (value) => {
    const url = URL.parse(value);
    const web = url?.protocol === "http:" || url?.protocol === "https:";
    // `fetch` refuses a URL with credentials in it.
    return web && url.username === "" && url.password === "" ? value : undefined;
  },
  expects: "an http:// or https:// URL without a user name",
});

/** A value that goes into an HTTP header, and into no message. */
const secret = (variable: string, description: string): Setting<string> => ({
  variable,
  default: "",
  description,
  read: (value) => (/^[\x21-\x7e]+$/.test(value) ? value : undefined),
  expects: "ASCII characters without spaces and line ends",
  secret: true,
});

const GIB = 1024 * 1024 * 1024;

/** The most numbers that a vector may have, on every engine: what pgvector's types hold. */
export const EMBEDDING_DIMENSIONS_MAX = 16_000;

export const SETTINGS = {
  host: text("TIDEMARK_HOST", "127.0.0.1", "Address to listen on; `0.0.0.0` or `::` for all."),
  port: port("TIDEMARK_PORT", 8787, "Port to listen on; 0 picks a free one."),
  databaseUrl: text(
    "TIDEMARK_DATABASE_URL",
    "file:./tidemark-data/tidemark.db",
    "Where the ledger is kept: `file:` and a path for the embedded engine, `postgres://…` for PostgreSQL.",
  ),
  databaseConnections: integer(
    "TIDEMARK_DATABASE_CONNECTIONS",
    15,
    [3, 1000],
    "PostgreSQL: connections that one server process has at most: a third each for syncs, for reading and for indexing.",
  ),
  databaseTimeoutMs: integer(
    "TIDEMARK_DATABASE_TIMEOUT_MS",
    10_000,
    [1000, 600_000],
    "PostgreSQL: milliseconds that one statement may take, and that a sync waits for others of its store.",
  ),
  rateLimitPerMinute: integer(
    "TIDEMARK_RATE_LIMIT_PER_MINUTE",
    LIMITS.requestsPerWindow,
    [1, 1_000_000],
    "Requests a minute to `sync`, and as many to `check-exists`, for each organization.",
  ),
  failedAuthPerMinute: integer(
    "TIDEMARK_FAILED_AUTH_PER_MINUTE",
    300,
    [1, 1_000_000],
    "Requests a minute without a valid key that a client address may make before it gets 429.",
  ),
  bodyLimitBytes: integer(
    "TIDEMARK_BODY_LIMIT_BYTES",
    LIMITS.bodyBytes,
    [1024, GIB / 2],
    "Largest body of a pipeline request, in bytes, before and after decompression.",
  ),
  bytesInFlightMax: integer(
    "TIDEMARK_BYTES_IN_FLIGHT_MAX",
    256 * 1024 * 1024,
    [1024, 64 * GIB],
    "Bytes of request bodies that may be held at once; a request beyond that gets 503.",
  ),
  requestTimeoutMs: integer(
    "TIDEMARK_REQUEST_TIMEOUT_MS",
    120_000,
    [1000, 3_600_000],
    "Milliseconds in which a request's headers and body must have arrived.",
  ),
  shutdownTimeoutMs: integer(
    "TIDEMARK_SHUTDOWN_TIMEOUT_MS",
    9000,
    [0, 600_000],
    "Milliseconds that running requests get to finish after SIGTERM.",
  ),
  trustedProxies: list(
    "TIDEMARK_TRUSTED_PROXIES",
    "Addresses or CIDR ranges of proxies whose `X-Forwarded-For` is believed; none by default.",
  ),
  metricsPort: port(
    "TIDEMARK_METRICS_PORT",
    0,
    "Port of its own for `/metrics`, on the same address; 0 serves it on the main port.",
  ),
  logLevel: oneOf(
    "TIDEMARK_LOG_LEVEL",
    "info",
    ["fatal", "error", "warn", "info", "debug", "silent"] as const,
    "Least severe level that is logged.",
  ),
  tombstoneDays: integer(
    "TIDEMARK_TOMBSTONE_DAYS",
    30,
    [1, 3650],
    "Days that the tombstone of a delete is kept, from when it arrived.",
  ),
  refreshRunHours: integer(
    "TIDEMARK_REFRESH_RUN_HOURS",
    24,
    [1, 24 * 365],
    "Hours after its last part that a staged refresh without its last batch is forgotten.",
  ),
  historyDays: integer("TIDEMARK_HISTORY_DAYS", 90, [1, 3650], "Days that the history of syncs is kept."),
  indexing: oneOf(
    "TIDEMARK_INDEXING",
    "on",
    ["on", "off"] as const,
    "`off`: this process takes syncs and searches, and leaves indexing to other processes on the same database.",
  ),
  embeddingsUrl: webAddress(
    "TIDEMARK_EMBEDDINGS_URL",
    "Base URL of an OpenAI-compatible endpoint, to which `/embeddings` is added, such as `https://api.openai.com/v1` or `http://localhost:11434/v1`; without it search is lexical. With `?api-version=…` at its end, the key is sent as Azure's deployment URLs want it.",
  ),
  embeddingsApiKey: secret(
    "TIDEMARK_EMBEDDINGS_API_KEY",
    "Key for the embeddings endpoint; not needed where it asks for none.",
  ),
  embeddingsModel: text(
    "TIDEMARK_EMBEDDINGS_MODEL",
    "",
    "Model whose vectors are used, by the endpoint's name for it.",
  ),
  embeddingsDimensions: integer(
    "TIDEMARK_EMBEDDINGS_DIMENSIONS",
    0,
    [0, EMBEDDING_DIMENSIONS_MAX],
    "Numbers that a vector has, for models that can shorten theirs: it is sent and checked; 0 takes what the model gives.",
  ),
  embeddingsBatchSize: integer(
    "TIDEMARK_EMBEDDINGS_BATCH_SIZE",
    32,
    [1, 2048],
    "Texts in one request to the embeddings endpoint.",
  ),
  embeddingsConcurrency: integer(
    "TIDEMARK_EMBEDDINGS_CONCURRENCY",
    4,
    [1, 64],
    "Requests with records' texts that one server process has at the embeddings endpoint at once.",
  ),
  embeddingsTimeoutMs: integer(
    "TIDEMARK_EMBEDDINGS_TIMEOUT_MS",
    30_000,
    [100, 300_000],
    "Milliseconds in which the answer to a request with records' texts must have arrived, body and all.",
  ),
  embeddingsQueryTimeoutMs: integer(
    "TIDEMARK_EMBEDDINGS_QUERY_TIMEOUT_MS",
    10_000,
    [100, 60_000],
    "Milliseconds that a search waits for the vector of its query.",
  ),
  embeddingsChunkPrefix: text(
    "TIDEMARK_EMBEDDINGS_CHUNK_PREFIX",
    "",
    "What the model wants before a record's text, such as `passage: ` (E5) or `search_document: ` (Nomic), with its space. After a change run `tidemark index rebuild --all`: it embeds everything anew.",
  ),
  embeddingsQueryPrefix: text(
    "TIDEMARK_EMBEDDINGS_QUERY_PREFIX",
    "",
    "What the model wants before a query, such as `query: ` or `search_query: `, with its space.",
  ),
};

export type Config = { [Name in keyof typeof SETTINGS]: (typeof SETTINGS)[Name]["default"] };

/**
 * Reads every setting once.
 * @param overrides values from the command line, which go before the environment
 * @throws Error that names the variable that is wrong
 */
export function readConfig(
  environment: Record<string, string | undefined> = process.env,
  overrides: Partial<Config> = {},
): Config {
  const config: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(SETTINGS)) {
    const given = environment[setting.variable];
    const override = overrides[name as keyof Config];
    const value = override ?? (given === undefined || given === "" ? setting.default : setting.read(given));
    if (value === undefined) {
      // A URL may have a password in it.
      const shown = setting.secret ? "wrong" : JSON.stringify(given).replace(/:[^:@/]+@/, ":…@");
      throw new Error(`${setting.variable} is ${shown}, but must be ${setting.expects}.`);
    }
    config[name] = value;
  }
  if (config.embeddingsUrl && !config.embeddingsModel) {
    const { embeddingsModel, embeddingsUrl } = SETTINGS;
    throw new Error(`${embeddingsModel.variable} is needed where ${embeddingsUrl.variable} is set.`);
  }
  return config as Config;
}
