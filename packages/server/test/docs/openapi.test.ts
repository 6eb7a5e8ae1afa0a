import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { ROOT } from "./markdown.ts";

// `npm test` checks that the file is current; http/openapi.test.ts tests its content.
const document = JSON.parse(readFileSync(new URL("docs/reference/openapi.json", ROOT), "utf8"));

test("the committed OpenAPI document is a valid OpenAPI 3.1 document", async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(document));
  assert.ok(valid, JSON.stringify(errors, null, 2));
  assert.equal(validator.version, "3.1");
});

test("the hand-written reference names every endpoint and method of the document", () => {
  const text = readFileSync(new URL("docs/reference/api.md", ROOT), "utf8");
  const endpoints = text.split("\n").filter((line) => line.startsWith("| `"));
  for (const [path, operations] of Object.entries(document.paths)) {
    const shown = path.replace("/v1/connectors/pipeline/", "/v1/pipeline/");
    const lines = endpoints.filter((line) => line.includes(`${shown}\``));
    for (const method of Object.keys(operations as object)) {
      const endpoint = `${method.toUpperCase()} ${shown}`;
      assert.ok(
        lines.some((line) => line.includes(method.toUpperCase())),
        endpoint,
      );
    }
  }
});

test("the hand-written reference names every field of requests and answers", () => {
  const text = readFileSync(new URL("docs/reference/api.md", ROOT), "utf8");
  const code = text.match(/^```.*?^```$|`[^`\n]*`|`[^`]*`/gms)!.join(" ");
  const named = new Set(code.match(/\w+/g));
  let fields = 0;
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    if (name === "ErrorResponse") continue;
    for (const field of Object.keys((schema as { properties: object }).properties)) {
      fields++;
      assert.ok(named.has(field), `${name}.${field}`);
    }
  }
  assert.ok(fields > 50, `${fields} fields`);
});
