import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { codeBlocks, ROOT } from "../../server/test/docs/markdown.ts";
import { temporaryFolder } from "../../server/test/test-server.ts";
import { readSettings, SETTINGS } from "../src/settings.ts";
import { record, schema, startStore, startTarget } from "./target-process.ts";

const NEEDED = { url: "http://127.0.0.1:1", api_key: "k", organization_id: "org_a", vector_store_id: "vs_a" };

/** Reads the settings of a configuration file. */
async function read(
  t: TestContext,
  content: unknown,
  environment: NodeJS.ProcessEnv = {},
  sources: string[] = [],
) {
  const path = join(await temporaryFolder(t), "config.json");
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
  return readSettings([path, ...sources], environment);
}

test("one error names all missing, unknown and invalid settings, without their values", async (t) => {
  const wrong = {
    ...NEEDED,
    url: "secret.example",
    api_key: undefined,
    hard_delet: true,
    batch_size_rows: 5001,
  };
  await assert.rejects(read(t, wrong), (error: Error) => {
    assert.match(error.message, /api_key is missing/);
    assert.match(error.message, /hard_delet is not a setting/);
    assert.match(error.message, /batch_size_rows must be <= 5000/);
    assert.match(error.message, /url must match pattern/);
    assert.doesNotMatch(error.message, /secret/);
    return true;
  });
  for (const removal_limit of [-1, 0.5, "200%", "many", true]) {
    await assert.rejects(read(t, { ...NEEDED, removal_limit }), /removal_limit must/);
  }
  await assert.rejects(read(t, "{"), /config\.json" cannot be read: it is not JSON/);
  await assert.rejects(read(t, "[]"), /config\.json" is not a JSON object/);
  assert.throws(() => readSettings(["/missing/config.json"], {}), /cannot be read: ENOENT/);
});

test("missing and null settings have their defaults", async (t) => {
  const { hard_delete, validate_records, removal_limit, batch_size_rows } = await read(t, {
    ...NEEDED,
    hard_delete: null,
  });
  assert.deepEqual(
    [hard_delete, validate_records, removal_limit, batch_size_rows],
    [false, true, undefined, 5000],
  );
});

test("ENV reads variables, which override the file before it", async (t) => {
  const environment = {
    TARGET_TIDEMARK_API_KEY: "123",
    TARGET_TIDEMARK_HARD_DELETE: "true",
    TARGET_TIDEMARK_BATCH_SIZE_ROWS: "7",
    TARGET_TIDEMARK_REMOVAL_LIMIT: "20%",
    TARGET_TIDEMARK_OTHER: "x",
  };
  const settings = await read(t, { ...NEEDED, batch_size_rows: 9 }, environment, ["ENV"]);
  const { api_key, hard_delete, batch_size_rows, removal_limit } = settings;
  assert.deepEqual([api_key, hard_delete, batch_size_rows, removal_limit], ["123", true, 7, "20%"]);
  const limit = { TARGET_TIDEMARK_REMOVAL_LIMIT: "30" };
  assert.equal((await read(t, NEEDED, limit, ["ENV"])).removal_limit, 30);
  assert.equal((await read(t, NEEDED, limit)).removal_limit, undefined, "only where ENV is named");
});

test("--about, --version and --help need no configuration", async (t) => {
  const about = await startTarget(t, ["--about", "--format=json"]).end();
  const { name, version, capabilities, settings } = JSON.parse(about.states.join("\n"));
  assert.deepEqual([about.code, name, settings.required], [0, "target-tidemark", SETTINGS.required]);
  assert.ok(capabilities.includes("hard-delete"));
  assert.deepEqual(Object.keys(settings.properties), Object.keys(SETTINGS.properties));
  const printed = await startTarget(t, ["--version"]).end();
  assert.deepEqual([printed.code, printed.states], [0, [`target-tidemark v${version}`]]);
  const help = await startTarget(t, ["--help"]).end();
  assert.match(help.states[0]!, /^Usage: target-tidemark --config FILE/);
});

test("the README has the settings as --about prints them", async (t) => {
  const { states } = await startTarget(t, ["--about", "--format=markdown"]).end();
  const readme = readFileSync(fileURLToPath(new URL("packages/singer-target/README.md", ROOT)), "utf8");
  assert.ok(
    readme.includes(states.join("\n")),
    "print them again: target-tidemark --about --format=markdown",
  );
});

test("the meltano.yml of the README names only existing settings, and all required ones", () => {
  const [yaml] = codeBlocks("packages/singer-target/README.md", "yaml");
  const loader = yaml!.slice(yaml!.indexOf("loaders:"));
  const declared = [...loader.matchAll(/- \{ name: (\w+), kind/g)].map(([, name]) => name!);
  const configured = [...loader.slice(loader.indexOf("config:")).matchAll(/^ {8}(\w+):/gm)].map(
    ([, name]) => name!,
  );
  const known = Object.keys(SETTINGS.properties);
  assert.ok(declared.length >= 4 && configured.length >= 4);
  assert.deepEqual(
    [...declared, ...configured].filter((name) => !known.includes(name)),
    [],
  );
  assert.deepEqual(
    SETTINGS.required.filter((name) => !declared.includes(name)),
    [],
  );
});

test("invalid arguments end the run with code 1 and one line", async (t) => {
  for (const [args, expected] of [
    [[], /--config FILE is missing/],
    [["--conf", "x"], /Unknown option '--conf'/],
    [["--about", "--format=xml"], /--format must be/],
  ] as const) {
    const { code, errors } = await startTarget(t, [...args]).end();
    assert.equal(code, 1);
    assert.equal(errors.length, 1, errors.join("\n"));
    assert.match(errors[0]!, expected);
  }
});

test("a wrong key or store ends the run before it reads any input", async (t) => {
  const store = await startStore(t);
  const lines = [schema("early", { id: { type: "integer" } }), record("early", { id: 1 })];
  const key = await store.runHere(lines, { api_key: "tdm_c_wrong" });
  assert.equal(key.code, 1);
  assert.match(key.errors.join("\n"), /^target-tidemark: error: AUTHENTICATION_REQUIRED: [^\n]*$/);
  const other = await store.runHere(lines, { vector_store_id: "vs_other" });
  assert.equal(other.code, 1);
  assert.match(other.errors.join("\n"), /^target-tidemark: error: VALIDATION_FAILED: [^\n]*$/);
  assert.deepEqual(await store.ids("early"), []);
});
