import { Command } from "commander";
import { everyStore, wholeList, withDatabase } from "../database.ts";
import { describeIndex } from "../describe-index.ts";
import { jsonOption } from "../options.ts";
import { printList } from "../output.ts";
import type { RebuildOptions } from "../rebuild-index.ts";

/** `tidemark index …` */
export function indexCommand(): Command {
  return new Command("index")
    .description("the indexes that search uses: how far they are, what failed, new ones")
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
    .summary("list the records that the index failed on, and why")
    .description(
      `list the records that the index failed on, oldest first, and why

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
          console.log("No records failed.");
          return;
        }
        printList(
          { object: "list", data, has_more: false, next_cursor: null },
          ["vector_store_id", "namespace", "id", "attempts", "queued_at", "error"],
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
    .description("have a running server try failed records again: all of them, or some")
    .option(...storeOption)
    .option("--namespace <name>", "this namespace alone")
    .option("--id <id>", "the records with this id alone")
    .addOption(jsonOption())
    .action(({ store: only, namespace, id, json }: RetryOptions) =>
      withDatabase(async (commands) => {
        let retried = 0;
        for (const { organization, store } of await everyStore(commands, only)) {
          const failed = [
            organization.id,
            store.id,
            { namespace: namespace ?? null, id: id ?? null },
          ] as const;
          let step: number;
          do {
            step = await commands.retryFailed(...failed);
            retried += step;
          } while (step > 0);
        }
        if (json) console.log(JSON.stringify({ retried }, null, 2));
        else if (retried === 0) console.log("No failed records match.");
        else
          console.log(`${retried} are due now. tidemark serve tries them; tidemark index status shows it.`);
      }),
    );
}

function rebuildCommand(): Command {
  return new Command("rebuild")
    .summary("begin a new index of a store, or of all")
    .description(
      `begin a new index of a store, with its settings and the embeddings that the environment names

A running tidemark serve makes it in the background while the old one serves; at its end it takes the old one's place at once. Texts that have a vector of the same model are not embedded again.

Run it with the server's TIDEMARK_EMBEDDINGS_* settings: they decide the model.`,
    )
    .option("--store <id>", "of this vector store (vs_…)")
    .option("--all", "of every vector store", false)
    .option("--lexical", "without embeddings, where a store had them and the server has them no more", false)
    .option("--wait", "wait until the new index serves", false)
    .addOption(jsonOption())
    .action(async (options: RebuildOptions, command: Command) => {
      if ((options.store === undefined) !== options.all) command.error("error: give --store, or --all");
      await withDatabase(async (commands, config) => {
        // Loaded only now: a server that starts has no use for it.
        const { rebuildIndexes } = await import("../rebuild-index.ts");
        await rebuildIndexes(commands, config, options);
      });
    });
}
