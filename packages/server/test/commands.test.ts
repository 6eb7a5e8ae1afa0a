import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMANDS, type CommandName } from "../src/commands.ts";

test("exactly the commands that say so in their name only read", () => {
  const reads = /^(get|list|identify|check|count|search|verify|indexing|findOrganization)/;
  for (const name of Object.keys(COMMANDS) as CommandName[]) {
    assert.equal(COMMANDS[name].duty === "read", reads.test(name), name);
  }
});
