import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMANDS, type CommandName } from "../src/commands.ts";

test("a command only reads if and only if its name says so", () => {
  const reads = /^(get|list|identify|check|count|search|verify|indexing|findOrganization)/;
  for (const name of Object.keys(COMMANDS) as CommandName[]) {
    assert.equal(COMMANDS[name].duty === "read", reads.test(name), name);
  }
});
