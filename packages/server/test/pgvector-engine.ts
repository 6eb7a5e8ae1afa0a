import { randomBytes } from "node:crypto";
import { after } from "node:test";
import { PGlite } from "@electric-sql/pglite";
import { vector } from "@electric-sql/pglite-pgvector";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import { Client } from "pg";
import { engines, postgres, type TestEngine } from "./engines.ts";
import { postgresUrl } from "./postgres-server.ts";

/**
 * A PostgreSQL with pgvector: the tests' usual server if it has the extension, else PGlite in this process. PGlite has
 * one session, which its connections share one transaction at a time.
 */
export const pgvector: TestEngine = {
  ...postgres,
  name: "PostgreSQL with pgvector",

  async createDatabase(t) {
    if (await hasPgvector(await postgresUrl())) return postgres.createDatabase(t);
    shared ??= startPglite();
    const { server } = await shared;
    const schema = `tidemark_test_${randomBytes(6).toString("hex")}`;
    return `postgres://postgres@${server.getServerConn()}/postgres?schema=${schema}`;
  },
};

let shared: ReturnType<typeof startPglite> | undefined;

async function startPglite() {
  const database = await PGlite.create({ extensions: { vector } });
  await database.exec("CREATE EXTENSION vector");
  const server = new PGLiteSocketServer({ db: database, host: "127.0.0.1", port: 0, maxConnections: 20 });
  await server.start();
  return { database, server };
}

after(async () => {
  const started = await shared;
  await started?.server.stop();
  await started?.database.close();
});

/** Creates the extension if the server has it. */
async function hasPgvector(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'");
    // Two tests may do this at the same time.
    if (rows.length > 0) await client.query("CREATE EXTENSION IF NOT EXISTS vector").catch(() => {});
    return rows.length > 0;
  } finally {
    await client.end();
  }
}

/** The engines for tests of vectors. */
export const vectorEngines: TestEngine[] = engines.map((engine) => (engine === postgres ? pgvector : engine));
