import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { examineSchema, type Finding } from "../finding.ts";
import { readMigrations } from "../migrations.ts";
import type { Sql, SqlRow } from "../port.ts";
import { sqlitePath } from "./path.ts";

const MIB = 1024 * 1024;
/** With less free space than this, a large sync can fail. */
const FREE_BYTES_MIN = 256 * MIB;
const LOG_BYTES_MAX = 512 * MIB;
/** NFS, SMB, CIFS, SMB2 (https://man7.org/linux/man-pages/man2/statfs.2.html); sshfs is not detected. */
const NETWORK_FILE_SYSTEMS = [0x6969, 0x517b, 0xff534d42, 0xfe534d42];

const mib = (bytes: number) => `${Math.round(bytes / MIB)} MiB`;

/**
 * Checks a database without changing it.
 * @param look further checks, which run only if the schema is the one that this version uses
 */
export async function examineSqlite(
  databaseUrl: string,
  look: (sql: Sql) => Promise<Finding[]>,
): Promise<Finding[]> {
  const path = sqlitePath(databaseUrl);
  if (!existsSync(path)) {
    const advice =
      "tidemark serve creates it. If a server already runs, check that it has the same TIDEMARK_DATABASE_URL.";
    const message = `There is no database ${path} yet.`;
    return [{ check: "database", status: "warning", message, advice }, ...examineDisk(dirname(path), 0)];
  }
  let database: DatabaseSync | undefined;
  try {
    accessSync(path, constants.W_OK);
    accessSync(dirname(path), constants.W_OK);
    database = new DatabaseSync(path, { readOnly: true });
    return await examineOpen(database, path, look);
  } catch (error) {
    const advice =
      "Run this command as the server's user. Check the file's owner, the disk, and the last backup.";
    const message = `${path} cannot be used: ${(error as Error).message}`;
    return [{ check: "database", status: "failed", message, advice }];
  } finally {
    database?.close();
  }
}

async function examineOpen(
  database: DatabaseSync,
  path: string,
  look: (sql: Sql) => Promise<Finding[]>,
): Promise<Finding[]> {
  const query = (text: string) => Object.values(database.prepare(text).get()!)[0];
  const bytes = statSync(path).size;
  const version = query("SELECT sqlite_version()");
  const migrations = readMigrations(new URL("./migrations/", import.meta.url));
  const schema = examineSchema(Number(query("PRAGMA user_version")), migrations);
  const findings: Finding[] = [
    { check: "database", status: "ok", message: `${path}, ${mib(bytes)}, SQLite ${version}` },
    schema,
    ...examineDisk(dirname(path), bytes),
    examineLog(`${path}-wal`),
    examineFile(query("PRAGMA quick_check(1)")),
  ];
  if (schema.status !== "ok") return findings;
  const sql: Sql = {
    all: async (text, values = []) =>
      database.prepare(text.replace(/\$(\d+)/g, "?$1")).all(...values) as SqlRow[],
  };
  return [...findings, ...(await look(sql))];
}

function examineDisk(folder: string, databaseBytes: number): Finding[] {
  const existing = existsSync(folder) ? folder : dirname(folder);
  if (!existsSync(existing)) return [];
  const { bavail, bsize, type } = statfsSync(existing);
  const free = bavail * bsize;
  const scarce = free < FREE_BYTES_MIN;
  const space: Finding = {
    check: "disk space",
    status: scarce ? "failed" : free < databaseBytes ? "warning" : "ok",
    message: `${mib(free)} free in ${existing}`,
  };
  if (space.status !== "ok") {
    space.advice = scarce
      ? "Free space on the disk, or move the database: on a full disk every sync gets 503."
      : "A full refresh of everything, or a backup to this disk, needs about as much space as the database.";
  }
  if (!NETWORK_FILE_SYSTEMS.includes(type)) return [space];
  const advice = "Move the database to a local disk: locks and fsync are unreliable on network file systems.";
  const message = `${existing} is on a network file system`;
  return [space, { check: "file system", status: "failed", message, advice }];
}

function examineLog(path: string): Finding {
  const bytes = existsSync(path) ? statSync(path).size : 0;
  const check = "log";
  if (bytes <= LOG_BYTES_MAX)
    return { check, status: "ok", message: `${mib(bytes)} not copied into the database` };
  const advice = "A long read, such as a backup, keeps the log from being reset: wait for it or stop it.";
  return { check, status: "warning", message: `the write-ahead log has ${mib(bytes)}`, advice };
}

function examineFile(answer: unknown): Finding {
  const check = "file";
  if (answer === "ok") return { check, status: "ok", message: "PRAGMA quick_check finds nothing wrong" };
  const advice =
    "Stop the server, keep a copy of the files, check the disk, and restore the last backup that verifies.";
  return { check, status: "failed", message: `damaged: ${String(answer).replaceAll("\n", " ")}`, advice };
}
