import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { examineSchema, type Finding } from "../finding.ts";
import { readMigrations } from "../migrations.ts";
import type { Sql, SqlRow } from "../port.ts";
import { sqlitePath } from "./path.ts";

const MIB = 1024 * 1024;
/**
 * Under this much free space a large sync can fail; twice the database is what a backup or a refresh of all may need.
 */
const FREE_BYTES_MIN = 256 * MIB;
const LOG_BYTES_MAX = 512 * MIB;
/**
 * https://man7.org/linux/man-pages/man2/statfs.2.html: NFS, SMB, CIFS, SMB2, FUSE's sshfs among others is not told
 * apart.
 */
const NETWORK_FILE_SYSTEMS = [0x6969, 0x517b, 0xff534d42, 0xfe534d42];

const mib = (bytes: number) => `${Math.round(bytes / MIB)} MiB`;

/**
 * Looks at a database without changing it.
 * @param look what to ask of it, if its schema is the one that this program uses
 */
export async function examineSqlite(
  databaseUrl: string,
  look: (sql: Sql) => Promise<Finding[]>,
): Promise<Finding[]> {
  const path = sqlitePath(databaseUrl);
  if (!existsSync(path)) {
    const advice = "tidemark serve makes it; or is TIDEMARK_DATABASE_URL another one for the server?";
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
      "Run this as the server's user; look at the file's owner, at its disk, and at the last backup.";
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
  const one = (text: string) => Object.values(database.prepare(text).get()!)[0];
  const bytes = statSync(path).size;
  const version = one("SELECT sqlite_version()");
  const migrations = readMigrations(new URL("./migrations/", import.meta.url));
  const schema = examineSchema(Number(one("PRAGMA user_version")), migrations);
  const findings: Finding[] = [
    { check: "database", status: "ok", message: `${path}, ${mib(bytes)}, SQLite ${version}` },
    schema,
    ...examineDisk(dirname(path), bytes),
    examineLog(`${path}-wal`),
    examineFile(one("PRAGMA quick_check(1)")),
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
      ? "Free some, or move the database: on a full disk every sync gets 503."
      : "A refresh of everything, or a backup to this disk, needs about as much as the database has.";
  }
  if (!NETWORK_FILE_SYSTEMS.includes(type)) return [space];
  const advice = "Move the database to a local disk: locks and fsync cannot be relied on there.";
  const message = `${existing} is on a network file system`;
  return [space, { check: "file system", status: "failed", message, advice }];
}

function examineLog(path: string): Finding {
  const bytes = existsSync(path) ? statSync(path).size : 0;
  const check = "log";
  if (bytes <= LOG_BYTES_MAX)
    return { check, status: "ok", message: `${mib(bytes)} not copied into the database` };
  const advice = "Something reads for very long, such as a backup: wait for it or end it.";
  return { check, status: "warning", message: `the write-ahead log has ${mib(bytes)}`, advice };
}

function examineFile(answer: unknown): Finding {
  const check = "file";
  if (answer === "ok") return { check, status: "ok", message: "PRAGMA quick_check finds nothing wrong" };
  const advice =
    "Stop the server, keep a copy of the files, look at the disk, restore the last backup that verifies.";
  return { check, status: "failed", message: `damaged: ${String(answer).replaceAll("\n", " ")}`, advice };
}
