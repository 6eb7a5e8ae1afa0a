import { ApiError } from "@tidemark/protocol/errors";

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const SERIALIZATION_FAILURE = "40001";
const DEADLOCK_DETECTED = "40P01";

/** Error classes and codes of a database that cannot be used right now. */
const UNAVAILABLE = [
  "08", // connection
  "28", // the password or the right to connect changed
  "53", // disk full, out of memory, too many connections
  "57", // shutting down, starting, statement or connection timed out
  "58", // the server's disk
  SERIALIZATION_FAILURE,
  DEADLOCK_DETECTED,
  "40003", // unknown whether the transaction committed
  "55P03", // waited for a lock too long
  "25006", // a standby: another server is the primary now
  "25P03", // idle in a transaction for too long
];

/** Node's codes for a connection that cannot be made, or that broke. */
const CONNECTION_LOST =
  /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|EHOSTDOWN|ENETUNREACH|ENETDOWN|ENOTFOUND|EAI_AGAIN|ENOENT)/;

/** The driver's messages, because its errors have no codes. */
const DRIVER =
  /timeout|terminated|not queryable|Connection ended|Cannot use a pool|The transaction ended with/i;

interface Failure {
  code?: string;
  message?: string;
  whileCommitting?: boolean;
}

/** True if the server ended the transaction because of a conflict with another one, so that a retry may succeed. */
export function isRepeatable(error: unknown): boolean {
  const { code } = error as Failure;
  return code === SERIALIZATION_FAILURE || code === DEADLOCK_DETECTED;
}

/** True if no answer came in time. */
export function isTimeout(error: unknown): boolean {
  const { code, message } = error as Failure;
  return code === undefined && /timeout/i.test(message ?? "");
}

/** Runs database work, and turns errors of a database that cannot be used right now into a 503. */
export async function orUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw unavailable(error) ?? error;
  }
}

function unavailable(error: unknown): ApiError | undefined {
  if (error instanceof ApiError) return undefined;
  const { code, message, whileCommitting } = error as Failure;
  const away =
    code === undefined
      ? DRIVER.test(message ?? "")
      : UNAVAILABLE.some((known) => code.startsWith(known)) || CONNECTION_LOST.test(code);
  if (!away && !whileCommitting) return undefined;
  // A transaction that loses its connection is rolled back; only during COMMIT is the outcome unknown.
  const failure = new ApiError("SERVICE_UNAVAILABLE", {
    outcome: whileCommitting ? "unknown" : "not_applied",
  });
  failure.cause = error;
  return failure;
}

/** The error for a database that could not be opened, in one line for the person who starts a server. */
export function startFailure(error: unknown): Error {
  const { errors, cause } = error as { errors?: Error[]; cause?: Error };
  const { code, message } = (cause ?? error) as Failure;
  if (code === undefined && !DRIVER.test(message ?? "")) return error as Error;
  const reason = message || errors?.[0]?.message || code;
  return new Error(`The PostgreSQL database of TIDEMARK_DATABASE_URL cannot be used: ${reason}`, {
    cause: error,
  });
}
