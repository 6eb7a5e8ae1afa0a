import { Connection } from "./connection.ts";

/** This many uncopied pages of the write-ahead log (8 KiB each) are copied immediately. */
const COPY_PAGES = 512;
/** From this many pages on, a writer restarts the log itself, which keeps it under about 64 MB. */
const RESTART_PAGES = 8192;
const LOOK_EVERY_MS = 50;
const COPY_AT_LEAST_EVERY_MS = 2000;
/** Pause after a failed copy, for example on a full disk. The log keeps what was not copied. */
const AFTER_FAILURE_MS = 5000;

/**
 * Copies the write-ahead log into the database in the background, so that no sync has to. Readers and writers do not
 * wait for it. Call it in a thread of its own, because copying blocks.
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
      // A writer meets the same fault and reports it.
      failedAt = now;
    }
  }, LOOK_EVERY_MS);
  return () => {
    clearInterval(timer);
    connection.database.close();
  };
}

/** Restarts the log if it grew long under constant load. A writer calls this between transactions. */
export function restartLongLog(connection: Connection): void {
  if (logPages(connection).log < RESTART_PAGES) return;
  connection.database.exec("PRAGMA wal_checkpoint(RESTART)");
}

function uncopiedPages(connection: Connection): number {
  const { log, checkpointed } = logPages(connection);
  return log - checkpointed;
}

/** How many pages the log has and how many of them were copied. SQLite before 3.51 also copies them here. */
function logPages(connection: Connection): { log: number; checkpointed: number } {
  return connection.statement("PRAGMA wal_checkpoint(NOOP)").get() as { log: number; checkpointed: number };
}
