import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { engines } from "../engines.ts";
import { runTidemark } from "../server-process.ts";

for (const engine of engines) {
  describe(`${engine.name}: a database of an older version`, () => {
    test("is rejected by every command that opens it, with instructions for moving its stores", async (t) => {
      const databaseUrl = await engine.createDatabase(t);
      await engine.pretendOlderSchema(databaseUrl);
      const commands = [["serve"], ["org", "list"], ["migrate"], ["status"], ["verify"], ["export", "-"]];
      for (const command of commands) {
        const { code, stderr } = await runTidemark(command, { TIDEMARK_DATABASE_URL: databaseUrl });
        assert.equal(code, 1, command.join(" "));
        assert.match(
          stderr,
          /older version of Tidemark created this database \(schema 1\).*tidemark export.*tidemark import/,
        );
      }
      const { stdout } = await runTidemark(["doctor"], { TIDEMARK_DATABASE_URL: databaseUrl });
      assert.match(stdout, /needs schema 2 or newer/);
    });
  });
}
