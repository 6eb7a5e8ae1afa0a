import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import * as client from "../src/public.ts";

const ENTRY = fileURLToPath(new URL("../src/public.ts", import.meta.url));
const KB = 1024;

/** Bundles a program for a browser that imports these names. */
const bundle = (...names: string[]) =>
  bundleModule(`export { ${names.join(", ")} } from ${JSON.stringify(ENTRY)}`);

/** Bundles the whole package. */
const bundleAll = () => bundleModule(`export * from ${JSON.stringify(ENTRY)}`);

async function bundleModule(contents: string) {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: "/" },
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "browser",
    logLevel: "silent",
  });
  const [output] = outputFiles as [(typeof outputFiles)[0]];
  return {
    text: output.text,
    bytes: output.contents.length,
    inputs: Object.keys(metafile.inputs),
    exports: Object.values(metafile.outputs)[0]!.exports.sort(),
  };
}

describe("a bundle for browsers", () => {
  test("of the whole package is under 11 KB, minified", async (t) => {
    const { bytes, exports } = await bundleAll();
    t.diagnostic(`${bytes} bytes`);
    assert.ok(bytes < 11 * KB, `${bytes} bytes`);
    assert.deepEqual(exports, Object.keys(client).sort());
  });

  test("leaves out everything that a program does not import", async () => {
    const [pipeline, management, error] = await Promise.all([
      bundle("Tidemark"),
      bundle("Management"),
      bundle("TidemarkError"),
    ]);
    assert.ok(pipeline.text.includes("expected_operations") && !pipeline.text.includes("/connectors"));
    assert.ok(management.text.includes("connectors") && !management.text.includes("expected_operations"));
    assert.ok(management.bytes < 5 * KB, `${management.bytes} bytes`);
    assert.ok(error.bytes < KB, `${error.bytes} bytes`);
  });

  test("has no Node code, and from other packages only the protocol's digests, batches and JSON parser", async () => {
    const { text, inputs } = await bundleAll();
    assert.doesNotMatch(text, /node:|\brequire\(|\bprocess\b|\bBuffer\b|setImmediate/);
    const foreign = inputs.filter((path) => path.includes("/") && !path.includes("packages/client/src/"));
    assert.deepEqual(foreign.map((path) => path.replace(/^.*packages\//, "")).sort(), [
      "protocol/src/canonical-json.ts",
      "protocol/src/digest.ts",
      "protocol/src/operation-batch.ts",
      "protocol/src/parse-json.ts",
    ]);
  });
});
