import { Connection } from "./connection.ts";

/** Pages of the write-ahead log (8 KiB each) that are worth copying into the database at once. */
const COPY_PAGES = 512;
/** Pages from which on a writer itself makes the log start anew: it keeps the log under about 64 MB. */
const RESTART_PAGES = 8192;
const LOOK_EVERY_MS = 50;
const COPY_AT_LEAST_EVERY_MS = 2000;
/** Pause after a copy that failed, as on a full disk. Nothing is lost: the log keeps what was not copied. */
const AFTER_FAILURE_MS = 5000;

/**
 * Copies the write-ahead log into the database in the background, so that no sync pays for it. Neither readers nor
 * writers wait for it. Runs until stopped; call it in a thread of its own, because copying blocks.
 * @returns a function that stops it
 */
export function startCheckpoints(path: string): () => void {
  const connection = new Connection(path, { durable: true });
  let copiedAt = Date.now();
  let failedAt = 0;
  const timer = setInterval(() => {
    const now = Date.now();
    if (now - failedAt < AFTER_FAILURE_MS) return;
    try {
      const pages = uncopiedPages(connection);
      if (pages === 0 || (pages < COPY_PAGES && now - copiedAt < COPY_AT_LEAST_EVERY_MS)) return;
      connection.database.exec("PRAGMA wal_checkpoint(PASSIVE)");
      copiedAt = now;
    } catch {
      // A writer meets the same fault, and answers it.
      failedAt = now;
    }
  }, LOOK_EVERY_MS);
  return () => {
    clearInterval(timer);
    connection.database.close();
  };
}

/** For a writer, between transactions: starts the log anew when it has grown long under an unbroken load. */
export function restartLongLog(connection: Connection): void {
  if (logPages(connection).log < RESTART_PAGES) return;
  connection.database.exec("PRAGMA wal_checkpoint(RESTART)");
}

function uncopiedPages(connection: Connection): number {
  const { log, checkpointed } = logPages(connection);
  return log - checkpointed;
}

/** How many pages the log has and how many of them were copied. SQLite before 3.51 copies them when asked. */
function logPages(connection: Connection): { log: number; checkpointed: number } {
  return connection.statement("PRAGMA wal_checkpoint(NOOP)").get() as { log: number; checkpointed: number };
}
