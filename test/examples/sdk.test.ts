import assert from "node:assert/strict";
import { test } from "node:test";
import { runShown, startExampleStore } from "./example-store.ts";

test("the SDK example loads pages, plans a refresh, syncs changes and finds them", async (t) => {
  const { environment, contents, pipeline } = await startExampleStore(t);
  const command = "node examples/sdk/keep-in-sync.ts";
  const { code, stdout, stderr } = await runShown("sdk/keep-in-sync.ts", command, environment);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.equal(
    stdout,
    `  sending: 0 tickets
  sending: 1000 tickets
  sending: 2000 tickets
  sending: 2345 tickets
  applying: 2345 tickets
  done: 2345 tickets
Refreshed: 2345 created. In sync: true.
Another refresh would say: 1 created, 2 updated, 2342 unchanged, 1 cleared. Gone: ticket_5.
Synced changes: 1 created, 2 updated, 1 removed.
Search for walrus:
  ticket_2346: Walrus in the server room
Search for coffee machine:
  ticket_7: Coffee machine leaks
`,
  );
  const tickets = await contents("helpdesk_tickets");
  assert.equal(Object.keys(tickets).length, 2345);
  assert.deepEqual(
    [tickets.ticket_5, tickets.ticket_7],
    [undefined, { subject: "Coffee machine leaks", status: "open" }],
  );
  const { data: refreshes } = await pipeline.listRefreshes();
  assert.deepEqual(refreshes, [], "the plan's run was aborted");
});
