import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { describe, type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { startSearching } from "../http/searching.ts";
import { cleanEnvironment, type Environment, runTidemark, TIDEMARK } from "../server-process.ts";
import { temporaryFolder } from "../test-server.ts";

const BOLD = "\u001b[1m";

/** A store with three searchable records, and a reader's settings. */
async function startReader(t: TestContext) {
  const searching = await startSearching(t);
  const { server, tenant, reader } = searching;
  await searching.put({
    fire: { title: "Printer on fire", status: "open" },
    toner: { title: "The printer has no toner", status: "closed" },
  });
  await searching.put({ wiki: { title: "Where the printer stands" } }, "pages");
  await searching.index();
  const settings: Environment = {
    TIDEMARK_URL: server.url,
    TIDEMARK_API_KEY: reader,
    TIDEMARK_ORGANIZATION: tenant.organizationId,
    TIDEMARK_STORE: tenant.storeId,
    TIDEMARK_CONFIG: `${await temporaryFolder(t)}/none.json`,
  };
  const search = (args: string[], more: Environment = {}) =>
    runTidemark(["search", ...args], { ...settings, ...more });
  return { ...searching, settings, search };
}

describe("tidemark search", () => {
  test("prints a row for each record, best first, and exits with 0, even without results", async (t) => {
    const { search } = await startReader(t);
    const { code, stdout, stderr } = await search(["printer", "fire"]);
    assert.deepEqual([code, stderr], [0, ""]);
    const lines = stdout.split("\n");
    assert.match(lines[0]!, /^1 {2}tasks {2}fire +\d[\d.]* {2}Printer on fire status: open$/);
    assert.deepEqual(lines.slice(-2), ["3 records, lexical, 0 pending", ""]);
    assert.deepEqual(await search(["walrus"]), {
      code: 0,
      stdout: "no records, lexical, 0 pending\n",
      stderr: "",
    });
  });

  test("passes its options to the search", async (t) => {
    const { search } = await startReader(t);
    const ids = async (...args: string[]) => {
      const { stdout } = await search([...args, "--json"]);
      return JSON.parse(stdout).data.map(({ id }: { id: string }) => id);
    };
    assert.deepEqual((await ids("printer")).sort(), ["fire", "toner", "wiki"]);
    assert.equal((await ids("printer", "--limit", "2")).length, 2);
    assert.deepEqual(await ids("printer", "--namespace", "pages"), ["wiki"]);
    assert.equal((await ids("printer", "--namespace", "pages", "--namespace", "tasks")).length, 3);
    assert.deepEqual(await ids("printer", "--filter", '{"status": "closed"}'), ["toner"]);
    const { stdout } = await search(["printer", "--mode", "lexical", "--json"]);
    assert.equal(JSON.parse(stdout).object, "search_results");
  });

  test("waits for a sync, and exits with 3 if it is not searchable in time", async (t) => {
    const { put, index, search } = await startReader(t);
    const sync = await put({ new: { title: "walrus" } });
    const late = await search(["walrus", "--after-sync", sync, "--timeout", "0.1"]);
    assert.deepEqual([late.code, late.stdout], [3, ""]);
    assert.match(late.stderr, /^tidemark: [^\n]+\n$/);
    await index();
    assert.match((await search(["walrus", "--after-sync", sync])).stdout, /^1 {2}tasks {2}new /);
  });

  test("prints the answer's warnings on standard error", async (t) => {
    const { search } = await startReader(t);
    const { code, stdout, stderr } = await search(["printer", "--mode", "hybrid"]);
    assert.deepEqual([code, stderr], [0, "tidemark: Lexical search only: This store has no embeddings.\n"]);
    assert.match(stdout, /3 records, lexical, 0 pending\n$/);
  });

  test("exits with 1 and prints one line if the server or the options reject the search", async (t) => {
    const { tenant, search } = await startReader(t);
    const connector = await search(["printer"], { TIDEMARK_API_KEY: tenant.key });
    assert.deepEqual([connector.code, connector.stdout], [1, ""]);
    assert.match(connector.stderr, /^tidemark: You do not have permission [^\n]+\n$/);
    assert.match((await search(["printer"], { TIDEMARK_STORE: "" })).stderr, /^tidemark: No store is set: /);
    assert.match(
      (await search(["printer", "--filter", '{"n": {"$near": 1}}'])).stderr,
      /^tidemark: .*\$near/,
    );
    for (const args of [
      [],
      ["a", "--limit", "0"],
      ["a", "--limit", "101"],
      ["a", "--filter", "[]"],
      ["a", "--mode", "x"],
      ["a", "--timeout", "61"],
    ]) {
      assert.equal((await search(args)).code, 1, args.join(" "));
    }
  });

  test("prints matching words of the store's language in bold if the output has colours", async (t) => {
    const { put, index, search, set } = await startReader(t);
    await set({ language: "german" });
    await put({ zug: { title: "Verspätete Züge, der Regelfall" } });
    await index();
    assert.equal((await search(["zug"])).stdout.includes(BOLD), false, "none in a pipe");
    const { stdout } = await search(["der", "zug"], { FORCE_COLOR: "1" });
    assert.ok(stdout.includes(`Verspätete ${BOLD}Züge\u001b[22m, der Regel`), JSON.stringify(stdout));
  });

  const noTerminal =
    spawnSync("script", ["--version"]).status === 0 ? false : "script --version does not run here";
  test("fits the terminal's width, and prints words in bold unless NO_COLOR is set", {
    skip: noTerminal,
  }, async (t) => {
    const { put, index, settings } = await startReader(t);
    await put({ long: { title: "Zoo", text: `${"word ".repeat(60)}walrus ${"word ".repeat(60)}` } });
    await index();
    const atTerminal = async (more: Environment = {}) => {
      const command = `stty cols 70; '${process.execPath}' '${TIDEMARK}' search walrus`;
      const env = cleanEnvironment({ ...settings, TERM: "xterm-256color", SHELL: "/bin/sh", ...more });
      const { stdout } = await promisify(execFile)("script", ["-qec", command, "/dev/null"], { env });
      return stdout.split("\r\n")[0]!;
    };
    const bold = await atTerminal();
    assert.ok(bold.includes(`${BOLD}walrus\u001b[22m`), JSON.stringify(bold));
    const plain = await atTerminal({ NO_COLOR: "1" });
    assert.ok(plain.includes(" walrus "), JSON.stringify(plain));
    assert.equal(plain.includes("\u001b"), false);
    assert.ok(plain.length <= 70 && plain.length > 50, `${plain.length} columns`);
  });
});
