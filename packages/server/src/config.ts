import { LIMITS } from "@tidemark/protocol/limits";

/** One setting; docs/reference/settings.md is generated from all of them. */
interface Setting<T> {
  variable: string;
  default: T;
  description: string;
  read(text: string): T | undefined;
  expects: string;
  /** Whether messages must hide the value. */
  secret?: true;
}

const text = (variable: string, fallback: string, description: string): Setting<string> => ({
  variable,
  default: fallback,
  description,
  read: (value) => value || undefined,
  expects: "a text",
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
    // `fetch` rejects a URL with credentials.
    return web && url.username === "" && url.password === "" ? value : undefined;
  },
  expects: "an http:// or https:// URL without a user name",
});

/** A value that is sent in an HTTP header and that messages never show. */
const secret = (variable: string, description: string): Setting<string> => ({
  variable,
  default: "",
  description,
  read: (value) => (/^[\x21-\x7e]+$/.test(value) ? value : undefined),
  expects: "printable ASCII characters without spaces",
  secret: true,
});

const GIB = 1024 * 1024 * 1024;

/** The most components of a vector on any engine: the limit of pgvector's types. */
export const EMBEDDING_DIMENSIONS_MAX = 16_000;

export const SETTINGS = {
  host: text(
    "TIDEMARK_HOST",
    "127.0.0.1",
    "Address to listen on; `0.0.0.0` or `::` listens on all addresses.",
  ),
  port: port("TIDEMARK_PORT", 8787, "Port to listen on; 0 picks a free one."),
  databaseUrl: text(
    "TIDEMARK_DATABASE_URL",
    "file:./tidemark-data/tidemark.db",
    "Database: `file:` and a path for SQLite, `postgres://…` for PostgreSQL.",
  ),
  databaseConnections: integer(
    "TIDEMARK_DATABASE_CONNECTIONS",
    15,
    [3, 1000],
    "PostgreSQL: the most connections of one server process; syncs, reading and indexing get a third each.",
  ),
  databaseTimeoutMs: integer(
    "TIDEMARK_DATABASE_TIMEOUT_MS",
    10_000,
    [1000, 600_000],
    "PostgreSQL: the most milliseconds that a statement may take and that a sync waits for other syncs of its store.",
  ),
  rateLimitPerMinute: integer(
    "TIDEMARK_RATE_LIMIT_PER_MINUTE",
    LIMITS.requestsPerWindow,
    [1, 1_000_000],
    "Requests per minute that an organization may send to `sync`, and as many again to `check-exists`.",
  ),
  failedAuthPerMinute: integer(
    "TIDEMARK_FAILED_AUTH_PER_MINUTE",
    300,
    [1, 1_000_000],
    "Requests per minute without a valid key that a client address may send before it gets 429.",
  ),
  bodyLimitBytes: integer(
    "TIDEMARK_BODY_LIMIT_BYTES",
    LIMITS.bodyBytes,
    [1024, GIB / 2],
    "Largest body of a pipeline request in bytes, both before and after decompression.",
  ),
  bytesInFlightMax: integer(
    "TIDEMARK_BYTES_IN_FLIGHT_MAX",
    256 * 1024 * 1024,
    [1024, 64 * GIB],
    "The most bytes of request bodies in memory at one time; the server answers further requests with 503.",
  ),
  requestTimeoutMs: integer(
    "TIDEMARK_REQUEST_TIMEOUT_MS",
    120_000,
    [1000, 3_600_000],
    "Milliseconds within which a request's headers and body must arrive.",
  ),
  shutdownTimeoutMs: integer(
    "TIDEMARK_SHUTDOWN_TIMEOUT_MS",
    9000,
    [0, 600_000],
    "Milliseconds that running requests have to finish after SIGTERM.",
  ),
  trustedProxies: list(
    "TIDEMARK_TRUSTED_PROXIES",
    "Addresses or CIDR ranges of proxies whose `X-Forwarded-For` is trusted; none by default.",
  ),
  metricsPort: port(
    "TIDEMARK_METRICS_PORT",
    0,
    "Separate port for `/metrics` on the same address; 0 serves it on the main port.",
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
    "Days that a tombstone is kept after its delete arrived.",
  ),
  refreshRunHours: integer(
    "TIDEMARK_REFRESH_RUN_HOURS",
    24,
    [1, 24 * 365],
    "Hours without a further part after which an open refresh run expires.",
  ),
  historyDays: integer("TIDEMARK_HISTORY_DAYS", 90, [1, 3650], "Days that the history of syncs is kept."),
  indexing: oneOf(
    "TIDEMARK_INDEXING",
    "on",
    ["on", "off"] as const,
    "`off`: this process serves syncs and searches, and leaves indexing to other processes on the same database.",
  ),
  embeddingsUrl: webAddress(
    "TIDEMARK_EMBEDDINGS_URL",
    "Base URL of an OpenAI-compatible endpoint, such as `https://api.openai.com/v1` or `http://localhost:11434/v1`; Tidemark adds `/embeddings`. Without it, search is lexical. If it ends in `?api-version=…`, Tidemark sends the key as Azure's deployment URLs expect it.",
  ),
  embeddingsApiKey: secret(
    "TIDEMARK_EMBEDDINGS_API_KEY",
    "Key for the embeddings endpoint, if the endpoint needs one.",
  ),
  embeddingsModel: text("TIDEMARK_EMBEDDINGS_MODEL", "", "Name of the model at the embeddings endpoint."),
  embeddingsDimensions: integer(
    "TIDEMARK_EMBEDDINGS_DIMENSIONS",
    0,
    [0, EMBEDDING_DIMENSIONS_MAX],
    "Dimensions of the vectors, for models that can shorten them; Tidemark sends and checks the number. 0 accepts the model's own.",
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
    "Concurrent requests of one server process to the embeddings endpoint for the vectors of records.",
  ),
  embeddingsTimeoutMs: integer(
    "TIDEMARK_EMBEDDINGS_TIMEOUT_MS",
    30_000,
    [100, 300_000],
    "Milliseconds within which the whole answer to a request for the vectors of records must arrive.",
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
    "Prefix that the model expects before a record's text, such as `passage: ` (E5) or `search_document: ` (Nomic), including the space. After a change, run `tidemark index rebuild --all`: it embeds all records again.",
  ),
  embeddingsQueryPrefix: text(
    "TIDEMARK_EMBEDDINGS_QUERY_PREFIX",
    "",
    "Prefix that the model expects before a query, such as `query: ` or `search_query: `, including the space.",
  ),
};

export type Config = { [Name in keyof typeof SETTINGS]: (typeof SETTINGS)[Name]["default"] };

/**
 * The settings from the environment.
 * @param overrides values from the command line, which take precedence
 * @throws Error that names the wrong variable
 */
export function readConfig(
  environment: Record<string, string | undefined> = process.env,
  overrides: Partial<Config> = {},
): Config {
  const config: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(SETTINGS)) {
    const raw = environment[setting.variable];
    const override = overrides[name as keyof Config];
    const value = override ?? (raw === undefined || raw === "" ? setting.default : setting.read(raw));
    if (value === undefined) {
      // A URL may contain a password.
      const shown = setting.secret ? "wrong" : JSON.stringify(raw).replace(/:[^:@/]+@/, ":…@");
      throw new Error(`${setting.variable} is ${shown}, but must be ${setting.expects}.`);
    }
    config[name] = value;
  }
  if (config.embeddingsUrl && !config.embeddingsModel) {
    const { embeddingsModel, embeddingsUrl } = SETTINGS;
    throw new Error(`${embeddingsModel.variable} must be set because ${embeddingsUrl.variable} is set.`);
  }
  return config as Config;
}
