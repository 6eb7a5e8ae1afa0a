import { Command } from "commander";
import { everyStore, wholeList, withDatabase } from "../database.ts";
import { describeIndex } from "../describe-index.ts";
import { jsonOption } from "../options.ts";
import { printList } from "../output.ts";
import type { RebuildOptions } from "../rebuild-index.ts";

/** `tidemark index …` */
export function indexCommand(): Command {
  return new Command("index")
    .description("show, retry and rebuild the indexes of search")
    .addCommand(statusCommand())
    .addCommand(failedCommand())
    .addCommand(retryCommand())
    .addCommand(rebuildCommand());
}

const storeOption = ["--store <id>", "only this vector store (vs_…)"] as const;

function statusCommand(): Command {
  return new Command("status")
    .description("show how far each store's index is, and its embedding model")
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
    .summary("list the records that the indexer failed on, and why")
    .description(
      `list the records that the indexer failed on, oldest first, and why

Search does not find them by their present content. It still finds a record by its earlier content if that was indexed.`,
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
    .description("let a running server try failed records again, all of them or some")
    .option(...storeOption)
    .option("--namespace <name>", "only this namespace")
    .option("--id <id>", "only records with this id")
    .addOption(jsonOption())
    .action(({ store: only, namespace, id, json }: RetryOptions) =>
      withDatabase(async (commands) => {
        let retried = 0;
        for (const { organization, store } of await everyStore(commands, only)) {
          const selection = [
            organization.id,
            store.id,
            { namespace: namespace ?? null, id: id ?? null },
          ] as const;
          let step: number;
          do {
            step = await commands.retryFailed(...selection);
            retried += step;
          } while (step > 0);
        }
        if (json) console.log(JSON.stringify({ retried }, null, 2));
        else if (retried === 0) console.log("No failed records match.");
        else
          console.log(
            `${retried} records are due. tidemark serve tries them; tidemark index status shows the rest.`,
          );
      }),
    );
}

function rebuildCommand(): Command {
  return new Command("rebuild")
    .summary("begin a new index of one store or of all")
    .description(
      `begin a new index of one store or of all, with the store's settings and the environment's embeddings

A running tidemark serve builds it in the background. Searches use the old index until the new one is complete. Texts that have a vector of the same model are not embedded again.

Run this command with the server's TIDEMARK_EMBEDDINGS_* settings, which select the model.`,
    )
    .option("--store <id>", "only this vector store (vs_…)")
    .option("--all", "every vector store", false)
    .option(
      "--lexical",
      "without embeddings, for a store that had them on a server that no longer has them",
      false,
    )
    .option("--wait", "wait until searches use the new index", false)
    .addOption(jsonOption())
    .action(async (options: RebuildOptions, command: Command) => {
      if ((options.store === undefined) !== options.all) command.error("error: give either --store or --all");
      await withDatabase(async (commands, config) => {
        // Imported here because a starting server does not need it.
        const { rebuildIndexes } = await import("../rebuild-index.ts");
        await rebuildIndexes(commands, config, options);
      });
    });
}
