import { Command } from "commander";
import { wholeList, withDatabase } from "./database.ts";
import { describeIndex } from "./describe-index.ts";
import { everyStore } from "./every-store.ts";
import { jsonOption } from "./options.ts";
import { printList } from "./output.ts";
import { rebuildCommand } from "./rebuild.ts";

/** `tidemark index …` */
export function indexCommand(): Command {
  return new Command("index")
    .description("the indexes that search uses: how far they are, what they gave up, new ones")
    .addCommand(statusCommand())
    .addCommand(failedCommand())
    .addCommand(retryCommand())
    .addCommand(rebuildCommand());
}

const storeOption = ["--store <id>", "this vector store alone (vs_…)"] as const;

function statusCommand(): Command {
  return new Command("status")
    .description("show how far the index of each store is, and what it is made with")
    .option(...storeOption)
    .addOption(jsonOption())
    .action(({ store: only, json }: { store?: string; json: boolean }) =>
      withDatabase(async (commands) => {
        const statuses = [];
        for (const { organization, store } of await everyStore(commands, only)) {
          const status = await commands.getIndexStatus(organization.id, store.id);
          statuses.push(status);
          if (!json) console.log(`${store.id}  ${store.name}: ${describeIndex(status, Date.now())}`);
        }
        if (json) console.log(JSON.stringify(statuses, null, 2));
        else if (statuses.length === 0) console.log("There is no vector store yet.");
      }),
    );
}

function failedCommand(): Command {
  return new Command("failed")
    .summary("list the records that the index gave up, and why")
    .description(
      `list the records that the index gave up, oldest first, and why

Search does not find them by what they say now; it finds those that it had before by what they said then.`,
    )
    .option(...storeOption)
    .addOption(jsonOption())
    .action(({ store: only, json }: { store?: string; json: boolean }) =>
      withDatabase(async (commands) => {
        const data = [];
        for (const { organization, store } of await everyStore(commands, only)) {
          const failed = await wholeList((page) => commands.listFailed(organization.id, store.id, page));
          data.push(...failed.data);
        }
        if (!json && data.length === 0) {
          console.log("The index gave nothing up.");
          return;
        }
        printList(
          { object: "list", data, has_more: false, next_cursor: null },
          ["vector_store_id", "namespace", "id", "attempts", "marked_at", "error"],
          json,
        );
      }),
    );
}

interface RetryOptions {
  store?: string;
  namespace?: string;
  id?: string;
  json: boolean;
}

function retryCommand(): Command {
  return new Command("retry")
    .description("have a running server try again what the index gave up: all of it, or some")
    .option(...storeOption)
    .option("--namespace <name>", "this namespace alone")
    .option("--id <id>", "the records with this id alone")
    .addOption(jsonOption())
    .action(({ store: only, namespace, id, json }: RetryOptions) =>
      withDatabase(async (commands) => {
        let retried = 0;
        for (const { organization, store } of await everyStore(commands, only)) {
          const of = [organization.id, store.id, { namespace: namespace ?? null, id: id ?? null }] as const;
          let step: number;
          do {
            step = await commands.retryFailed(...of);
            retried += step;
          } while (step > 0);
        }
        if (json) console.log(JSON.stringify({ retried }, null, 2));
        else if (retried === 0) console.log("The index gave nothing like that up.");
        else
          console.log(`${retried} are due now. tidemark serve tries them; tidemark index status shows it.`);
      }),
    );
}
